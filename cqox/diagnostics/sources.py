"""Papers behind the gates and the assumptions."""

from collections.abc import Mapping
from typing import NamedTuple

__all__ = ["OF_ASSUMPTIONS", "OF_GATES", "Source"]


class Source(NamedTuple):
    """A paper.

    Attributes:
        authors: family names.
        year: of publication.
        identifier: DOI or arXiv number, with the word before it.
    """

    authors: str
    year: int
    identifier: str | None = None

    def __str__(self) -> str:
        words = f"{self.authors} {self.year}"
        return words if self.identifier is None else f"{words}, {self.identifier}"


OF_GATES: Mapping[str, tuple[Source, ...]] = {
    "overlap": (Source("Crump, Hotz, Imbens and Mitnik", 2009, "doi 10.1093/biomet/asn055"),),
    "balance": (Source("Austin", 2009, "doi 10.1002/sim.3697"),),
    "effective_sample_size": (Source("Kish", 1965),),
    "clusters": (Source("Cameron, Gelbach and Miller", 2008, "doi 10.1162/rest.90.3.414"),),
    "instrument_strength": (Source("Montiel Olea and Pflueger", 2013, "doi 10.1080/00401706.2013.806694"),),
    "negative_weights": (Source("de Chaisemartin and D'Haultfoeuille", 2020, "doi 10.1257/aer.20181169"),),
    "pre_trends": (Source("Roth", 2022, "doi 10.1257/aeri.20210236"),),
    "manipulation": (
        Source("Cattaneo, Jansson and Ma", 2020, "doi 10.1080/01621459.2019.1635480"),
        Source("Frandsen", 2017, "doi 10.1108/S0731-905320170000038012"),
    ),
    "covariate_continuity": (Source("Lee", 2008, "doi 10.1016/j.jeconom.2007.05.004"),),
    "placebo_cutoffs": (Source("Imbens and Lemieux", 2008, "doi 10.1016/j.jeconom.2007.05.001"),),
    "polynomial_order": (Source("Gelman and Imbens", 2019, "doi 10.1080/07350015.2017.1366909"),),
    "bandwidth_sensitivity": (Source("Imbens and Lemieux", 2008, "doi 10.1016/j.jeconom.2007.05.001"),),
    "donor_fit": (Source("Abadie, Diamond and Hainmueller", 2010, "doi 10.1198/jasa.2009.ap08746"),),
    "tails": (Source("Hall", 1992, "doi 10.1007/978-1-4612-4384-7"),),
    "serial_dependence": (Source("Ljung and Box", 1978, "doi 10.1093/biomet/65.2.297"),),
    "agreement": (Source("Abadie and Imbens", 2011, "doi 10.1198/jbes.2009.07333"),),
    "curvature": (Source("Hausman", 1978, "doi 10.2307/1913827"),),
    "robustness": (Source("Cinelli and Hazlett", 2020, "doi 10.1111/rssb.12348"),),
    "refutation": (Source("Sharma and Kiciman", 2020, "arXiv 2011.04216"),),
}

OF_ASSUMPTIONS: Mapping[str, tuple[Source, ...]] = {
    "unconfounded": (Source("Rosenbaum and Rubin", 1983, "doi 10.1093/biomet/70.1.41"),),
    "no_interference": (Source("Rubin", 1980, "doi 10.2307/2287653"),),
    "complete_outcomes": (Source("Lee", 2009, "doi 10.1111/j.1467-937X.2009.00536.x"),),
    "independent_units": (Source("Abadie, Athey, Imbens and Wooldridge", 2023, "doi 10.1093/qje/qjac038"),),
    "relevance": (Source("Montiel Olea and Pflueger", 2013, "doi 10.1080/00401706.2013.806694"),),
    "exclusion": (Source("Angrist, Imbens and Rubin", 1996, "doi 10.1080/01621459.1996.10476902"),),
    "monotonicity": (Source("Imbens and Angrist", 1994, "doi 10.2307/2951620"),),
    "no_manipulation": (Source("McCrary", 2008, "doi 10.1016/j.jeconom.2007.05.005"),),
    "continuity": (Source("Hahn, Todd and van der Klaauw", 2001, "doi 10.1111/1468-0262.00183"),),
    "parallel_trends": (
        Source("Rambachan and Roth", 2023, "doi 10.1093/restud/rdad018"),
        Source("Roth", 2022, "doi 10.1257/aeri.20210236"),
    ),
    "no_anticipation": (Source("Callaway and Sant'Anna", 2021, "doi 10.1016/j.jeconom.2020.12.001"),),
    "no_feedback": (Source("Imai, Kim and Wang", 2023, "doi 10.1111/ajps.12685"),),
    "donor_match": (Source("Abadie", 2021, "doi 10.1257/jel.20191450"),),
    "no_concurrent_event": (Source("Bernal, Cummins and Gasparrini", 2017, "doi 10.1093/ije/dyw098"),),
    "stable_trend": (Source("Bernal, Cummins and Gasparrini", 2017, "doi 10.1093/ije/dyw098"),),
    "logged_propensities": (Source("Dudik, Erhan, Langford and Li", 2014, "doi 10.1214/14-STS500"),),
    "transportable": (Source("Dahabreh et al.", 2019, "doi 10.1111/biom.13009"),),
    "sequential_ignorability": (Source("Imai, Keele and Yamamoto", 2010, "doi 10.1214/10-STS321"),),
    "proxy_exclusion": (Source("Miao, Geng and Tchetgen Tchetgen", 2018, "doi 10.1093/biomet/asy038"),),
    "exposure_mapping": (Source("Aronow and Samii", 2017, "doi 10.1214/16-AOAS1005"),),
}

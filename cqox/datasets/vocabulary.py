"""The words by which people name columns, in English and Japanese, and how surely each means its role."""

import re
import unicodedata
from collections.abc import Collection, Mapping

from cqox.contract import ALIASES
from cqox.contract.messages import Message
from cqox.datasets.kinds import names_an_id

__all__ = [
    "match_role",
    "names_a_change",
    "names_a_logarithm",
    "names_background",
    "names_codes",
    "said_after_treatment",
    "said_before_treatment",
]

_EXACT = 0.95
_WORD = 0.7
_PART = 0.6

# A name that is exactly one of these; single letters among them are the field's own notation.
_NAMES: Mapping[str, str] = {
    "y": """
        y yt 結果 結果変数 目的変数 アウトカム 被説明変数 従属変数 応答 応答変数 成果 成果変数
        """,
    "treatment": """
        w treat treatment treated trt tx assigned treatment_group 処置 介入 処理 処置変数 介入変数 処置群 介入群 治療
        施策 割付 割り付け 割当 割り当て 群 投与 処置フラグ 介入フラグ 施策フラグ 処置有無 介入有無 施策有無 曝露 暴露
        """,
    "unit_id": """
        id unit unit_id uid user_id userid customer_id customerid person_id subject_id patient_id store_id shop_id
        household_id firm_id county_id member_id idcode student_id employee_id 識別子 個体 個体id 個人id 顧客id 会員id
        患者id 被験者id 店舗id 世帯id 企業id 学生id 店舗 店舗番号 店舗コード 会員番号 顧客番号 患者番号 被験者番号
        個体番号 管理番号 通し番号 社員番号 学籍番号 連番 ユーザーid ユーザid 利用者id
        """,
    "time": """
        time period date year month week day quarter yyyymm yearmonth year_month 日付 年月日 年月 年 月 週 年度 期 時点
        時期 時間 観測日 期間 四半期 週番号 日
        """,
    "cohort": """
        cohort first_treat first_treated first_treatment gvar treat_year treatment_year 処置開始 介入開始 処置開始年
        介入開始年 初回処置 初回処置期 導入年 導入時期 処置開始期 介入開始期 コホート
        """,
    "post": "post after post_period is_post 事後 介入後 処置後 事後期 事後ダミー 後 施策後",
    "weights": """
        weight weights sample_weight sampling_weight survey_weight wgt pweight 重み ウェイト ウエイト 標本重み 抽出重み
        """,
    "pscore": "pscore propensity propensity_score ps 傾向スコア 処置確率 割付確率",
    "log_propensity": "log_propensity logp log_pscore",
    "instrument": "z iv instrument instruments 操作変数 道具変数",
    "cluster": "cluster cluster_id clusters クラスタ クラスター",
    "mediator": "mediator mediators 媒介変数 媒介 中間変数",
    "dose": "dose intensity 用量 投与量 強度",
    "running": "running running_variable forcing 割当変数 強制変数",
    "action": "action 行動",
    "reward": "reward 報酬",
    "sample": "population source_sample 標本 母集団",
    "neighbor_exposure": "neighbor_exposure exposure_share spillover 近隣曝露",
    "latitude": "latitude lat 緯度",
    "longitude": "longitude lon lng long 経度",
    "proxy_treatment": "nce proxy_treatment",
    "proxy_outcome": "nco proxy_outcome",
    "target_policy": "target_policy evaluation_policy",
    "cost": "cost 費用 コスト",
    "covariates": """
        age sex gender race education income 年齢 性別 学歴 年収 所得 都道府県 職業 世帯人数 婚姻 地域 身長 体重 共変量
        """,
}
# Parts of a name, weaker than a name that says so. Words are whole ones between underscores; Japanese has no spaces,
# so its parts may stand anywhere.
_WORDS: Mapping[str, str] = {
    "y": """
        sales revenue profit conversion converted purchase purchased spend spending response outcome target churn
        retention clicks visits wage wages salary salaries earnings survival mortality death recovered readmission
        responded replied takeup uptake adoption adopted crime crimes homicide homicides arrests accidents fatalities
        deaths claims
        """,
    "treatment": """
        treat treated treatment trt intervention campaign promotion promo coupon exposed exposure program training
        assigned discount arm variant train grant subsidy voucher scholarship incentive participation participant
        participated enrolled vaccinated vaccine therapy law reform repeal repealed ban mandate policy legislation
        """,
    "unit_id": "id uuid uid",
    "time": "date year month week day time period quarter",
}
_PARTS: Mapping[str, str] = {
    "y": """
        結果 売上 売り上げ 利益 購入 購買 成約 転換 コンバージョン 解約 離脱 継続 来店 客数 受注 販売数 死亡 生存 回復
        再入院 成績 得点 満足度 賃金 応募 クリック 反応 アウトカム
        """,
    "treatment": """
        処置 介入 施策 キャンペーン クーポン 販促 割引 広告 訓練 研修 治療 投薬 プログラム 割付 補助金 給付 参加 受講
        接種 奨学金 条例
        """,
    "unit_id": """
        店舗id 顧客id 会員id 個人id 患者id 利用者id ユーザーid 世帯id 企業id 学生id 社員番号 会員番号 顧客番号 患者番号
        """,
    "time": "日付 年月 年度 週次 時点 観測日",
}

# Names that are words for the role and for other things as often: "t" may be a period, "m" a month, "group" a cluster,
# and "z" an instrument or one more covariate.
_UNSURE: Mapping[str, Mapping[str, float]] = {
    "treatment": {"t": 0.55, "d": 0.55, "exposure": 0.55, "intervention": 0.7, "group": 0.5},
    "y": {"grade": 0.45, "score": 0.45, "price": 0.45, "rent": 0.45, "hours": 0.45},
    "instrument": {"z": 0.6},
    "mediator": {"m": 0.3},
    "post": {"after": 0.7},
    "time": {"t": 0.6},
}

# Words and stems by which people name what a unit was before any treatment: who somebody is, the household, the place.
_BACKGROUND_WORDS = """
    age sex gender race male female boy girl black white asian hisp hispan hispanic indigenous foreign immigrant citizen
    veteran edu educ education school schooling college degree nodegree exper experience tenure occ occupation industry
    marr marital married single divorced widowed child children kid kids family fsize hh hhsize household parent mother
    father inc income faminc wealth poverty urban rural rur city smsa metro region south north east west pop population
    ht height bmi near close dist distance hlth health asthma diabetes smoker
    """
_BACKGROUND_STEMS = """
    educ marr hisp black asian femal urban rural south north nrth moth fath famil child popul hlth health incom near
    dist years yrs boy girl
    """

_AFTER_WORDS = re.compile(
    r"(?:^|[_\s.\-])(after|post|posttest|followup|follow_up|fup|endline|later|final|outcome|subsequent)(?:$|[_\s.\-0-9])"
)
_AFTER_PARTS = ("介入後", "処置後", "施策後", "治療後", "事後", "追跡", "フォローアップ", "終了時", "実施後", "投与後")
_AFTER_PART = re.compile(r"[^前以直午背老最今戦]後|^後[_・\s]")
# Names of what people number, so that whole numbers under them are codes: the last word of an English name, the end of
# a Japanese one.
_CODED_WORDS = """
    region regions state states province prefecture pref county country city district municipality ward zone territory
    zip zipcode postcode postal race ethnicity ethnic nationality religion marital occupation occ profession industry
    sector sic naics isic nace department dept division branch store shop site center centre hospital clinic school icd
    atc drg diagnosis disease specialty species category cat class type kind group grp segment brand channel weekday
    dayofweek dow
    """
_CODED_PARTS = """
    都道府県 地域 地方 市区町村 市町村 郡 国籍 人種 民族 宗教 婚姻 婚姻状況 職業 職種 業種 産業 業態 部門 部署 支店 店舗
    病院 施設 診療科 学校 学科 学部 傷病 疾病 疾患 病名 診断 区分 種別 種類 分類 類型 カテゴリ カテゴリー 曜日 グループ
    セグメント ブランド 郵便番号
    """
_LOGARITHM = re.compile(r"(?:log|ln|l)(\w{4,})")
_SAID_LOGARITHM = re.compile(r"(?:log|ln)_?[a-z]\w*", re.IGNORECASE)
_CHANGE = re.compile(r"([a-z]+_?)((?:19|20)?\d\d)_((?:19|20)?\d\d)", re.IGNORECASE)
_SEPARATORS = str.maketrans("- .", "___")
_BEFORE = re.compile(
    r"(?:^|[_\s.\-])(?:before|pre|pretest|baseline|prior|lag|lagged|past|previous|last)(?:$|[_\s.\-0-9])"
    r"|[^以]前|^前|ベースライン|過去|昨年"
)


def _folded(name: str) -> str:
    return unicodedata.normalize("NFKC", name).strip().lower()


def _known() -> dict[str, dict[str, float]]:
    known = {role: dict.fromkeys(_folded(words).split(), _EXACT) for role, words in _NAMES.items()}
    for alias, role in ALIASES.items():
        # "t", "d" and "m" are as often a period, a date or a month as a treatment or a mediator.
        known.setdefault(role, {}).setdefault(alias, _EXACT)
    for role, names in _UNSURE.items():
        known[role] |= names
    return known


_KNOWN = _known()


def match_role(role: str, name: str) -> tuple[float, Message] | None:
    """Score how likely a column of this name has this role, with the reason; None if the name does not say."""
    folded = _folded(name).translate(_SEPARATORS)
    sure = _KNOWN.get(role, {}).get(folded)
    if sure is not None:
        return sure, Message("datasets.name-is-word-for-role", name=name, role=role)
    # "sales_before" and 前年売上 are measured too early to be what the treatment changed, or to be the treatment.
    if role not in _WORDS or (role in ("y", "treatment") and _BEFORE.search(folded)):
        return None
    if role == "treatment" and said_after_treatment(name):
        return None
    words = _split(name)
    if role == "y":
        # Of the logarithm of a wage: lwage, lnwage, logwage.
        words += [match[1] for word in words if (match := _LOGARITHM.fullmatch(word))]
    # "birth_year" is a year in which something happened; a date at the end of a longer name is weak.
    weaker = 0.25 if role == "time" else 0.0
    for word in _WORDS[role].split():
        if word in (words[-1:] if role == "time" else words):
            return round(_WORD - weaker, 2), Message("datasets.name-holds-word", name=name, word=word)
    for part in _PARTS[role].split():
        if part in folded:
            return round(_PART - weaker, 2), Message("datasets.name-holds-part", name=name, part=part)
    return None


def said_after_treatment(name: str) -> str:
    """The part of a name that says that the column was measured after the treatment; empty where none does."""
    folded = _folded(name)
    match = _AFTER_WORDS.search(folded) or _AFTER_WORDS.search("_".join(_split(name)))
    if match:
        return match[1]
    for part in _AFTER_PARTS:
        if part in folded:
            return part
    return "後" if _AFTER_PART.search(folded) else ""


def said_before_treatment(name: str) -> bool:
    """Return whether a name says that the column was measured before the treatment."""
    return _BEFORE.search(_folded(name)) is not None


def names_a_logarithm(name: str) -> bool:
    """Return whether a name begins with log or ln."""
    return _SAID_LOGARITHM.fullmatch(name) is not None


def names_a_change(name: str, names: Collection[str]) -> bool:
    """Return whether a name ends in two years of a series in the table: wt82_71, where there is wt71 or wt82."""
    match = _CHANGE.fullmatch(name)
    return match is not None and (match[1] + match[2] in names or match[1] + match[3] in names)


def names_background(name: str) -> bool:
    """Return whether a name is of what a unit was before any treatment: who somebody is, the household, the place."""
    words = [word.rstrip("0123456789") for word in _split(name)]
    if any(word in _BACKGROUND_WORDS.split() for word in words) or match_role("covariates", name):
        return True
    return any(word.startswith(stem) or word.endswith(stem) for word in words for stem in _BACKGROUND_STEMS.split())


def names_codes(name: str) -> bool:
    """Return whether a name says that whole numbers are codes: region, marital_2, prefecture_code, 診療科, but not age.

    It does where its last word is one of what people number (a region, a race, an industry, a diagnosis; digits at its
    end do not count), or where it says that it holds ids or codes.
    """
    last = next((word for word in reversed(_split(name)) if not word.isdecimal()), "").rstrip("0123456789")
    return last in _CODED_WORDS.split() or last.endswith(tuple(_CODED_PARTS.split())) or names_an_id(name)


def _split(name: str) -> list[str]:
    """The words of a name, at underscores, spaces and changes to upper case."""
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", unicodedata.normalize("NFKC", name))
    return [word for word in re.split(r"[^0-9a-z\u0080-\uffff]+", spaced.lower()) if word]

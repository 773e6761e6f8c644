// What was asked before: answers with their titles, and files.
import { asProblem, call, id, remove } from "./api.js";
import { placeOf } from "./draft.js";
import { html, useEffect, useState } from "./lib.js";
import { Badge, Busy, Confirm, Failure, Heading, Table, useLoaded } from "./parts.js";
import { bytes, moment, number, t } from "./text.js";

const PAGE = 50;

export function History() {
  return html`<${Heading}>${t("history")}<//><${Answers} /><${Files} />`;
}

function Answers() {
  const [search, setSearch] = useState("");
  const [wanted, setWanted] = useState("");
  const [more, setMore] = useState([]);
  const [state, setState] = useState({});
  const [asking, setAsking] = useState(null);
  const query = (before) => `/api/analyses?limit=${PAGE}${wanted ? `&search=${id(wanted)}` : ""}${before ? `&before=${id(before)}` : ""}`;
  const first = useLoaded((signal) => call(query(), { signal }), [wanted]);
  useEffect(() => setMore([]), [first.value]);
  useEffect(() => {
    const timer = setTimeout(() => setWanted(search.trim()), 300);
    return () => clearTimeout(timer);
  }, [search]);
  const pages = first.value ? [first.value, ...more] : [];
  const items = pages.flatMap((page) => page.analyses);
  const next = pages.at(-1)?.next;
  const load = async () => {
    setState({ busy: true });
    try {
      const page = await call(query(next));
      setMore([...more, page]);
      setState({});
    } catch (error) {
      setState({ problem: asProblem(error) });
    }
  };
  return html`<section>
    <h2>${t("answers")}</h2>
    <p><label for="search">${t("search")}</label> <input id="search" type="search" value=${search} onInput=${(event) => setSearch(event.target.value)} /></p>
    <${Failure} problem=${first.problem} again=${first.again} />
    ${!first.value && !first.problem && html`<${Busy} />`}
    ${first.value && items.length === 0 && html`<p>${wanted ? t("search-empty") : html`${t("history-empty")} <a href="/">${t("start-title")}</a>`}</p>`}
    ${items.length > 0 &&
    html`<${Table} wide caption=${t("answers")} head=${[t("title"), t("verdict"), t("estimate"), t("file"), t("computed-at"), t("actions")]}>
      ${items.map(
        (item) => html`<tr key=${item.analysis_id}>
          <th scope="row"><a href=${`/a/${id(item.analysis_id)}`}><bdi>${item.title || item.headline || item.analysis_id.slice(0, 8)}</bdi></a>${item.notes && html`<p class="muted small"><bdi>${item.notes}</bdi></p>`}</th>
          <td>${item.verdict && html`<${Badge} state=${item.verdict} text=${item.verdict} />`}</td>
          <td class="number">${number(item.estimate)}</td>
          <td><a href=${`/d/${id(item.dataset_id)}`}><bdi>${item.dataset_name ?? placeOf(item.dataset_id)?.table ?? item.dataset_id.slice(0, 8)}</bdi></a></td>
          <td>${moment(item.created_at)}</td>
          <td><button type="button" class="plain" onClick=${() => setAsking(item)}>${t("delete")}<span class="hidden"> ${item.title || item.headline || item.analysis_id}</span></button></td>
        </tr>`,
      )}
    <//>`}
    ${next && html`<p><button type="button" disabled=${state.busy} onClick=${load}>${t("show-more")}</button></p>`}
    <${Failure} problem=${state.problem} />
    ${asking && html`<${Confirm} question=${t("delete-answer-question", { name: asking.title || asking.headline || asking.analysis_id.slice(0, 8) })} yes=${t("delete")} onYes=${async () => (await remove(`/api/analyses/${id(asking.analysis_id)}`), first.again())} onClose=${() => setAsking(null)} />`}
  </section>`;
}

function Files() {
  const { value, problem, again } = useLoaded((signal) => call("/api/datasets", { signal }), []);
  const [asking, setAsking] = useState(null);
  const files = value?.datasets.filter((set) => !set.sample) ?? [];
  return html`<section>
    <h2>${t("files")}</h2>
    <${Failure} problem=${problem} again=${again} />
    ${value && files.length === 0 && html`<p>${t("files-empty")}</p>`}
    ${files.length > 0 &&
    html`<${Table} wide caption=${t("files")} head=${[t("file"), t("rows"), t("columns"), t("size"), t("computed-at"), t("actions")]}>
      ${files.map(
        (set) => html`<tr key=${set.dataset_id}>
          <th scope="row"><a href=${`/d/${id(set.dataset_id)}`}><bdi>${set.name}</bdi></a></th>
          <td class="number">${number(set.rows)}</td>
          <td class="number">${number(set.columns)}</td>
          <td class="number">${bytes(set.size_bytes)}</td>
          <td>${moment(set.created_at)}</td>
          <td><button type="button" class="plain" onClick=${() => setAsking(set)}>${t("delete")}<span class="hidden"> ${set.name}</span></button></td>
        </tr>`,
      )}
    <//>`}
    ${asking && html`<${Confirm} question=${t("delete-file-question", { name: asking.name })} yes=${t("delete")} onYes=${async () => (await remove(`/api/datasets/${id(asking.dataset_id)}`), again())} onClose=${() => setAsking(null)} />`}
  </section>`;
}

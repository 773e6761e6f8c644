// Names of estimators as people say them, from the catalog of the API.
import { call } from "./api.js";
import { Store } from "./lib.js";
import { currentLanguage } from "./text.js";

/** Labels by the name of the estimator; empty until the catalog has come. */
export const labels = new Store({});

let loaded = null;

/** Load the labels in the current language, once. */
export async function loadLabels() {
  const language = currentLanguage();
  if (loaded === language) return;
  loaded = language;
  try {
    const { estimators } = await call("/api/estimators");
    labels.set(Object.fromEntries(estimators.map(({ name, label }) => [name, label])));
  } catch {
    // Names stand in for labels.
    loaded = null;
  }
}

/** The label of an estimator; its name in words where there is none. */
export const estimatorLabel = (name) => labels.value[name] || (name ?? "").replaceAll("_", " ");

import { createRoot } from "react-dom/client";

import * as account from "./account.js";
import { App } from "./app.js";
import { ErrorBoundary } from "./error-boundary.js";
import "./settings.js";
import "./style.css";
import { startLanguage } from "./words/language.js";

const root = document.getElementById("root");

void Promise.all([account.start(), startLanguage()]).then(() => {
  if (!root) return;
  // Without them, buttons have their names nevertheless.
  import("./tooltip.js").then(({ startTooltips }) => startTooltips(), () => {});
  createRoot(root).render(
    <ErrorBoundary>
      <App />
    </ErrorBoundary>,
  );
});

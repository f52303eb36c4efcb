import { createRoot } from "react-dom/client";

import * as account from "./account.js";
import { App } from "./app.js";
import { ErrorBoundary } from "./error-boundary.js";
import "./settings.js";
import "./style.css";
import { startTooltips } from "./tooltip.js";
import { startLanguage } from "./words/language.js";

const root = document.getElementById("root");

void Promise.all([account.start(), startLanguage()]).then(() => {
  if (!root) return;
  startTooltips();
  createRoot(root).render(
    <ErrorBoundary>
      <App />
    </ErrorBoundary>,
  );
});

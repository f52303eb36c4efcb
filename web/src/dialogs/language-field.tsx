// The choice of the language. Each one is named in itself, so that those who cannot read the present one find theirs.

import { Languages } from "lucide-react";

import { useObservable } from "../observable.js";
import { settings } from "../settings.js";
import type { Language, Settings } from "../settings.js";
import { toast } from "../toasts.js";
import { LANGUAGES, chooseLanguage, words } from "../words/language.js";

export default function LanguageField() {
  const { language } = useObservable(settings);
  const choose = (choice: Settings["language"]) =>
    chooseLanguage(choice).catch(() => toast(words.account.languageNotLoaded));
  return (
    <label className="inline">
      <Languages aria-hidden />
      <span className="grow">{words.account.language}</span>
      <select value={language} onChange={(event) => void choose(event.target.value as Settings["language"])}>
        <option value="browser">{words.account.matchBrowser}</option>
        {(Object.keys(LANGUAGES) as Language[]).map((each) => (
          <option key={each} value={each} lang={each}>
            {LANGUAGES[each].name}
          </option>
        ))}
      </select>
    </label>
  );
}

// Filters of a search for messages: who wrote them, when, and with what.

import { useConversations, useMe, useTidings } from "@tidings/client/react";
import { X } from "lucide-react";
import { useEffect, useMemo, useState } from "react";

import { titleOf } from "../people.js";
import { locale } from "../words/formats.js";
import { partWords, words } from "../words/language.js";

/** The chosen filters; an empty text means any. Days are as `<input type="date">` has them. */
export interface Filters {
  from: string;
  after: string;
  before: string;
  has: "" | "image" | "file" | "link" | "attachment";
}

export const NO_FILTERS: Filters = { from: "", after: "", before: "", has: "" };

const HAS = ["image", "file", "link", "attachment"] as const satisfies readonly Filters["has"][];
/** At most so many people are offered. */
const MAX_PEOPLE = 100;

/** Returns the filters as the API has them. Days begin and end where the user is. */
export function toQuery({ from, after, before, has }: Filters) {
  const start = (day: string, days: number) => {
    const [year = 0, month = 1, date = 1] = day.split("-").map(Number);
    return new Date(year, month - 1, date + days).toISOString();
  };
  return {
    ...(from ? { from } : {}),
    ...(after ? { after: start(after, 0) } : {}),
    ...(before ? { before: start(before, 1) } : {}),
    ...(has ? { has } : {}),
  };
}

export function FilterChips(props: { filters: Filters; scope: string | null; onChange: (filters: Filters) => void }) {
  const { filters, onChange } = props;
  const people = usePeople(props.scope);
  const change = (part: Partial<Filters>) => onChange({ ...filters, ...part });
  const isFiltered = Object.values(filters).some((value) => value !== "");
  return (
    <div className="chips filters" role="group" aria-label={partWords.search.filters}>
      <select aria-label={partWords.search.from} data-on={filters.from !== ""} value={filters.from} onChange={(event) => change({ from: event.target.value })}>
        <option value="">{partWords.search.from}</option>
        {people.map(({ id, name }) => (
          <option key={id} value={id}>
            {name}
          </option>
        ))}
      </select>
      <select aria-label={partWords.search.has} data-on={filters.has !== ""} value={filters.has} onChange={(event) => change({ has: event.target.value as Filters["has"] })}>
        <option value="">{partWords.search.has}</option>
        {HAS.map((has) => (
          <option key={has} value={has}>
            {partWords.search.hasWhat[has]}
          </option>
        ))}
      </select>
      <DayField label={partWords.search.after} value={filters.after} onChange={(after) => change({ after })} />
      <DayField label={partWords.search.before} value={filters.before} onChange={(before) => change({ before })} />
      {isFiltered && (
        <button className="icon-button small" aria-label={partWords.search.clearFilters} onClick={() => onChange(NO_FILTERS)}>
          <X aria-hidden />
        </button>
      )}
    </div>
  );
}

function DayField({ label, value, onChange }: { label: string; value: string; onChange: (day: string) => void }) {
  return (
    <label className="day-field" data-on={value !== ""}>
      {label}
      <input type="date" value={value} onChange={(event) => onChange(event.target.value)} />
    </label>
  );
}

/** Returns the user and the people of a conversation or, in a search of everything, those with whom there is one. */
function usePeople(scope: string | null): readonly { id: string; name: string }[] {
  const client = useTidings();
  const me = useMe();
  const rows = useConversations();
  const [members, setMembers] = useState<readonly { id: string; name: string }[]>([]);
  useEffect(() => {
    setMembers([]);
    if (scope === null) return;
    const stop = new AbortController();
    client.api.conversation(scope, { signal: stop.signal }).then(
      ({ participants }) => setMembers(participants.flatMap(({ user_id, name }) => (name ? [{ id: user_id, name }] : []))),
      // The filter then only offers the user.
      () => {},
    );
    return () => stop.abort();
  }, [client, scope]);
  return useMemo(() => {
    const contacts = rows.flatMap((row) => (row.other_user_id ? [{ id: row.other_user_id, name: titleOf(row) }] : []));
    const others = (scope === null ? contacts : members).filter(({ id }) => id !== me?.id).slice(0, MAX_PEOPLE);
    return [{ id: me?.id ?? "", name: words.common.you }, ...others.toSorted((a, b) => a.name.localeCompare(b.name, locale()))];
  }, [rows, members, me, scope, words]);
}

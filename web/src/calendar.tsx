// A calendar for jumping to a day of a conversation. Loaded when it is opened.

import { ChevronLeft, ChevronRight } from "lucide-react";
import { useEffect, useRef, useState } from "react";
import type { KeyboardEvent } from "react";

import { Modal } from "./modal.js";
import { locale, perLocale } from "./words/formats.js";
import { partWords } from "./words/language.js";
import "./calendar.css";

const MONTH = perLocale((locale) => new Intl.DateTimeFormat(locale, { month: "long", year: "numeric" }));
const DAY = perLocale((locale) => new Intl.DateTimeFormat(locale, { dateStyle: "full" }));
const WEEKDAY = perLocale((locale) => new Intl.DateTimeFormat(locale, { weekday: "narrow" }));
const WEEKDAY_NAME = perLocale((locale) => new Intl.DateTimeFormat(locale, { weekday: "long" }));
const NUMBER = perLocale((locale) => new Intl.NumberFormat(locale, { useGrouping: false }));

/** The first day of the week where the user lives: 0 is Sunday. Browsers that do not tell begin with Monday. */
function firstWeekday(): number {
  const info = new Intl.Locale(locale()) as Intl.Locale & { getWeekInfo?: () => { firstDay: number } };
  return (info.getWeekInfo?.().firstDay ?? 1) % 7;
}

const addDays = (date: Date, days: number) => new Date(date.getFullYear(), date.getMonth(), date.getDate() + days);

/** Returns the same day of another month, or its last day. */
function addMonths(date: Date, months: number): Date {
  const last = new Date(date.getFullYear(), date.getMonth() + months + 1, 0);
  return new Date(last.getFullYear(), last.getMonth(), Math.min(date.getDate(), last.getDate()));
}

/** Returns the weeks of a month, each from its first weekday. */
function weeksOf(month: Date): Date[][] {
  const first = new Date(month.getFullYear(), month.getMonth(), 1);
  const start = addDays(first, -((first.getDay() - firstWeekday() + 7) % 7));
  return Array.from({ length: 6 }, (_, week) => Array.from({ length: 7 }, (_, day) => addDays(start, week * 7 + day))).filter(
    ([monday]) => monday && (monday <= first || monday.getMonth() === month.getMonth()),
  );
}

/** `at` is the day that is chosen at first; `onPick` gets the start of a day. */
export default function Calendar(props: { at: Date; onPick: (day: Date) => void; onClose: () => void }) {
  const [today] = useState(() => addDays(new Date(), 0));
  const [chosen, setChosen] = useState(() => addDays(props.at, 0));
  const grid = useRef<HTMLTableElement>(null);
  const hasMoved = useRef(false);
  const move = (to: Date) => setChosen(to > today ? today : to);
  useEffect(() => {
    if (hasMoved.current || document.activeElement?.closest(".calendar")) {
      grid.current?.querySelector<HTMLElement>("[tabindex='0']")?.focus();
    }
  }, [chosen]);
  const onKeyDown = (event: KeyboardEvent) => {
    const isRtl = getComputedStyle(event.currentTarget).direction === "rtl";
    const steps: Record<string, () => Date> = {
      ArrowLeft: () => addDays(chosen, isRtl ? 1 : -1),
      ArrowRight: () => addDays(chosen, isRtl ? -1 : 1),
      ArrowUp: () => addDays(chosen, -7),
      ArrowDown: () => addDays(chosen, 7),
      PageUp: () => addMonths(chosen, event.shiftKey ? -12 : -1),
      PageDown: () => addMonths(chosen, event.shiftKey ? 12 : 1),
    };
    const step = steps[event.key];
    if (!step) return;
    event.preventDefault();
    hasMoved.current = true;
    move(step());
  };
  const weeks = weeksOf(chosen);
  const isLastMonth = chosen.getFullYear() === today.getFullYear() && chosen.getMonth() === today.getMonth();
  return (
    <Modal title={partWords.conversation.jumpToDate} onClose={props.onClose}>
      <div className="calendar">
        <div className="calendar-bar">
          <button className="icon-button" aria-label={partWords.conversation.previousMonth} onClick={() => move(addMonths(chosen, -1))}>
            <ChevronLeft aria-hidden className="mirrored" />
          </button>
          <span className="strong" aria-live="polite">
            {MONTH().format(chosen)}
          </span>
          <button className="icon-button" aria-label={partWords.conversation.nextMonth} disabled={isLastMonth} onClick={() => move(addMonths(chosen, 1))}>
            <ChevronRight aria-hidden className="mirrored" />
          </button>
        </div>
        <table ref={grid} role="grid" aria-label={MONTH().format(chosen)} onKeyDown={onKeyDown}>
          <thead>
            <tr>
              {weeks[0]?.map((day) => (
                <th key={day.getDay()} scope="col" abbr={WEEKDAY_NAME().format(day)} className="muted">
                  {WEEKDAY().format(day)}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {weeks.map((week) => (
              <tr key={week[0]?.getTime()}>
                {week.map((day) => (
                  <td key={day.getTime()} role="gridcell" aria-selected={day.getTime() === chosen.getTime()}>
                    <button
                      tabIndex={day.getTime() === chosen.getTime() ? 0 : -1}
                      disabled={day > today}
                      className={day.getMonth() === chosen.getMonth() ? "" : "muted"}
                      aria-label={DAY().format(day)}
                      aria-current={day.getTime() === today.getTime() ? "date" : undefined}
                      onClick={() => props.onPick(day)}
                    >
                      {NUMBER().format(day.getDate())}
                    </button>
                  </td>
                ))}
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </Modal>
  );
}

// The date of the messages at the top, while the user reads older ones. It opens the calendar.

import { CalendarDays } from "lucide-react";
import { useState } from "react";

import { useToday } from "./clock.js";
import { formatDay } from "./dates.js";
import { lazyPart } from "./lazy.js";
import { words } from "./words/language.js";

const Calendar = lazyPart(() => import("./calendar.js"));

/** `at` is a time of the day that is shown. */
export function FloatingDate({ at, onJump }: { at: string; onJump: (day: Date) => void }) {
  useToday();
  const [isOpen, setIsOpen] = useState(false);
  return (
    <>
      <button className="floating-date" onClick={() => setIsOpen(true)}>
        <CalendarDays aria-hidden />
        {formatDay(at)}
        <span className="hidden">{words.conversation.jumpFromDate}</span>
      </button>
      {isOpen && (
        <Calendar
          at={new Date(at)}
          onClose={() => setIsOpen(false)}
          onPick={(day) => {
            setIsOpen(false);
            onJump(day);
          }}
        />
      )}
    </>
  );
}

// Who is here, who has control, and handing it to one of them.
import type { JSX } from "preact";
import { useEffect, useId, useRef, useState } from "preact/hooks";
import type { Person } from "./types";

interface PeopleProps {
  people: Person[];
  me: string;
  holder: string | null;
  /** Whether one's control can be handed to somebody. */
  mayHand: boolean;
  onHand: (person: Person) => void;
}

/** How many are shown without opening the list. */
const SHOWN = 3;
const HUES = 8;

export function People({ people, me, holder, mayHand, onHand }: PeopleProps): JSX.Element | null {
  const [open, setOpen] = useState(false);
  const box = useRef<HTMLDivElement>(null);
  const button = useRef<HTMLButtonElement>(null);
  const id = useId();
  useEffect(() => {
    if (!open) return;
    const outside = (event: Event) => {
      if (!box.current?.contains(event.target as Node)) setOpen(false);
    };
    document.addEventListener("pointerdown", outside, true);
    document.addEventListener("focusin", outside);
    return () => {
      document.removeEventListener("pointerdown", outside, true);
      document.removeEventListener("focusin", outside);
    };
  }, [open]);
  if (people.length === 0) return null;
  const press = (event: KeyboardEvent) => {
    if (event.key !== "Escape" || !open) return;
    event.stopPropagation();
    setOpen(false);
    button.current?.focus();
  };
  // Who has control is seen first.
  const sorted = [...people].sort((one, other) => Number(other.id === holder) - Number(one.id === holder));
  const names = people.map((each) => each.name).join(", ");
  return (
    <div class="people" ref={box} onKeyDown={press}>
      <button ref={button} type="button" class="quiet small" aria-expanded={open} aria-controls={id} title={names} onClick={() => setOpen(!open)}>
        <span class="unseen">Here now: {names}</span>
        <span class="faces" aria-hidden="true">
          {sorted.slice(0, SHOWN).map((each) => (
            <Face key={each.id} person={each} controls={each.id === holder} />
          ))}
          {people.length > SHOWN && <span class="more">+{people.length - SHOWN}</span>}
        </span>
      </button>
      {open && (
        <ul class="list" id={id} aria-label="Who is here">
          {sorted.map((each) => (
            <li key={each.id}>
              <Face person={each} controls={each.id === holder} />
              <span class="name">
                {each.name}
                {each.id === me && " (you)"}
                <small>{each.id === holder ? "has control" : "watches"}</small>
              </span>
              {mayHand && each.id !== me && (
                <button
                  type="button"
                  class="small"
                  onClick={() => {
                    setOpen(false);
                    onHand(each);
                  }}
                >
                  Hand over<span class="unseen"> to {each.name}</span>
                </button>
              )}
            </li>
          ))}
        </ul>
      )}
    </div>
  );
}

function Face({ person, controls }: { person: Person; controls: boolean }): JSX.Element {
  return (
    <span class={`face hue-${hue(person.id)}${controls ? " controls" : ""}`} aria-hidden="true">
      {initials(person.name)}
    </span>
  );
}

function initials(name: string): string {
  const words = name.trim().split(/[\s._-]+/u).filter(Boolean);
  const first = [...(words[0] ?? "?")];
  const last = words.length > 1 ? [...(words.at(-1) ?? "")][0] : first[1];
  return `${first[0] ?? "?"}${last ?? ""}`.toUpperCase();
}

/** The same colour for the same person everywhere. */
const hue = (id: string): number => [...id].reduce((sum, letter) => (sum * 31 + letter.charCodeAt(0)) >>> 0, 7) % HUES;

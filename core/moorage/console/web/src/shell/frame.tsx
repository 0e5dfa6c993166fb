// What is around every page: the way to the other places, the search, who is signed in. At phone width it is folded.
import type { ComponentChildren, JSX } from "preact";
import { flushSync } from "preact/compat";
import { useEffect, useRef, useState } from "preact/hooks";
import type * as api from "../api";
import { words } from "../forms";
import { ACCOUNT, adminPlaces, HOME, mainPlaces, type Place, placeAt } from "../places";
import { usePath } from "../router";
import { Search } from "./search";
import { Trouble } from "./trouble";
import "./shell.css";

interface FrameProps {
  state?: api.State;
  refresh?: () => Promise<void>;
  signOut?: () => Promise<void>;
  children: ComponentChildren;
}

const CONTENT = "content";

export function Frame({ state, refresh, signOut, children }: FrameProps): JSX.Element {
  const [problem, setProblem] = useState<string | null>(null);
  const user = state?.user ?? null;
  const leave = async () => {
    try {
      await signOut?.();
      setProblem(null);
    } catch (error) {
      setProblem(words(error));
    }
  };
  return (
    <>
      {user === null || state === undefined ? (
        <header class="top">
          <Brand />
        </header>
      ) : (
        <>
          <SkipLink />
          <Top state={state} user={user} refresh={refresh} signOut={() => void leave()} />
        </>
      )}
      <div id={CONTENT} class={user === null ? "page" : "page beside"} tabIndex={-1}>
        {problem !== null && <Trouble text={problem} />}
        {children}
      </div>
    </>
  );
}

const Brand = (): JSX.Element => (
  <a class="brand" href={HOME}>
    Moorage
  </a>
);

/** Where the keyboard goes on; an address with # would be another page. */
const toContent = (): void => document.getElementById(CONTENT)?.focus();

function SkipLink(): JSX.Element {
  const skip = (event: MouseEvent) => {
    event.preventDefault();
    toContent();
  };
  return (
    <a class="skip" href={`#${CONTENT}`} onClick={skip}>
      Skip the navigation
    </a>
  );
}

interface TopProps {
  state: api.State;
  user: api.User;
  refresh: (() => Promise<void>) | undefined;
  signOut: () => void;
}

function Top({ state, user, refresh, signOut }: TopProps): JSX.Element {
  const path = usePath();
  const [unfolded, setUnfolded] = useState(false);
  const [searching, setSearching] = useState(false);
  const header = useRef<HTMLElement>(null);
  const button = useRef<HTMLButtonElement>(null);
  const main = mainPlaces(state);
  const admin = adminPlaces(state);
  const account: Place = { address: ACCOUNT, title: "Your account", about: "" };
  const here = placeAt(path, [...main, ...admin, account]);

  useEffect(() => {
    if (!unfolded) return;
    const elsewhere = (event: PointerEvent) => {
      if (!(event.target instanceof Node && header.current?.contains(event.target))) setUnfolded(false);
    };
    document.addEventListener("pointerdown", elsewhere);
    return () => document.removeEventListener("pointerdown", elsewhere);
  }, [unfolded]);
  // Drawn before the next key comes, which is of the text.
  useSearchKeys(() => flushSync(() => setSearching(true)));

  const fold = (event: KeyboardEvent) => {
    if (event.key !== "Escape" || !unfolded) return;
    event.preventDefault();
    button.current?.focus();
    setUnfolded(false);
  };
  // What had the focus is folded away with the rest.
  const chosen = (event: MouseEvent) => {
    if (!unfolded || !(event.target instanceof Element) || event.target.closest("a") === null) return;
    setUnfolded(false);
    toContent();
  };
  return (
    <>
      <header class="top side" ref={header} onKeyDown={fold} onClick={chosen}>
        <Brand />
        <button
          ref={button}
          type="button"
          class="quiet unfold"
          aria-expanded={unfolded}
          aria-controls="folded"
          onClick={() => setUnfolded(!unfolded)}
        >
          <Lines />
          <span class="unseen">Menu, now at </span>
          <span class="here">{here?.title ?? "Moorage"}</span>
        </button>
        <button
          type="button"
          class="quiet seek"
          aria-haspopup="dialog"
          aria-keyshortcuts="Control+K"
          onClick={() => setSearching(true)}
        >
          <Lens />
          <span class="word">Search</span> <kbd aria-hidden="true">Ctrl K</kbd>
        </button>
        <div id="folded" class={unfolded ? "folded open" : "folded"}>
          <nav class="places" aria-label="Places">
            <Links places={main} here={here} />
            {admin.length > 0 && (
              <>
                <h2 id="administration">Administration</h2>
                <Links places={admin} here={here} labelledby="administration" />
              </>
            )}
          </nav>
          <div class="who">
            <a href={ACCOUNT} title="Your account" aria-current={here === account ? "page" : undefined}>
              {user.name || user.username} <small>{user.role}</small>
            </a>
            <button type="button" class="quiet" onClick={signOut}>
              Sign out
            </button>
          </div>
        </div>
      </header>
      {searching && <Search places={[...main, ...admin, account]} refresh={refresh} onClose={() => setSearching(false)} />}
    </>
  );
}

function Links({ places, here, labelledby }: { places: Place[]; here: Place | null; labelledby?: string }): JSX.Element {
  return (
    <ul aria-labelledby={labelledby}>
      {places.map((place) => (
        <li key={place.address}>
          <a href={place.address} aria-current={place === here ? "page" : undefined}>
            {place.title}
          </a>
        </li>
      ))}
    </ul>
  );
}

/** Ctrl+K anywhere but in a terminal, which has a use for it; "/" where nothing is typed and the page has no own use. */
function useSearchKeys(open: () => void): void {
  useEffect(() => {
    const pressed = (event: KeyboardEvent) => {
      if (event.defaultPrevented || event.altKey || document.querySelector("dialog[open]") !== null) return;
      const on = event.target instanceof Element ? event.target : null;
      if (on?.closest(".xterm") != null) return;
      const command = (event.ctrlKey || event.metaKey) && !event.shiftKey && event.key.toLowerCase() === "k";
      const slash = event.key === "/" && !event.ctrlKey && !event.metaKey && on?.closest("input, textarea, select, [contenteditable]") == null;
      if (!command && !(slash && document.querySelector('[aria-keyshortcuts="/"], main.terminal, main.replay') === null)) return;
      event.preventDefault();
      open();
    };
    window.addEventListener("keydown", pressed);
    return () => window.removeEventListener("keydown", pressed);
  });
}

const Lines = (): JSX.Element => (
  <svg viewBox="0 0 16 16" width="16" height="16" aria-hidden="true">
    <path d="M1 3.500h14M1 8h14M1 12.500h14" stroke="currentColor" stroke-width="1.6" stroke-linecap="round" />
  </svg>
);

const Lens = (): JSX.Element => (
  <svg viewBox="0 0 16 16" width="16" height="16" aria-hidden="true" fill="none" stroke="currentColor" stroke-width="1.6">
    <circle cx="6.5" cy="6.5" r="4.7" />
    <path d="m10 10 4.5 4.5" stroke-linecap="round" />
  </svg>
);

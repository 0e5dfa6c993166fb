// What is around every page: the way to the other places, the search, who is signed in. At phone width it is folded.
import type { ComponentChildren, JSX } from "preact";
import { flushSync } from "preact/compat";
import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";
import type * as api from "../api";
import { words } from "../forms";
import { folded, onLook, setLook, type Theme, THEMES, theme } from "../look";
import { ACCOUNT, adminPlaces, HOME, mainPlaces, type Place, placeAt } from "../places";
import { usePath } from "../router";
import { actions } from "./actions";
import { Lens, Lines, SideBar } from "./icons";
import { useSearchKeys } from "./keys";
import { Search } from "./search";
import { Trouble } from "./trouble";
import "./shell.css";

interface FrameProps {
  state?: api.State;
  refresh?: () => Promise<void>;
  signOut?: () => Promise<void>;
  children: ComponentChildren;
}

export const CONTENT = "content";

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
      {/* Another element beside the places: the same one, moved, is a jump to who looks. */}
      <div key={state === undefined ? "above" : "beside"} id={CONTENT} class={user === null ? "page" : "page beside"} tabIndex={-1}>
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

  // With the drawing: a tap that comes right after it counts.
  useLayoutEffect(() => {
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
        <FoldButton />
        <button
          ref={button}
          type="button"
          class="quiet unfold"
          aria-expanded={unfolded}
          aria-controls="folded"
          title="Menu"
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
          title="Search"
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
            <Colours />
            <button type="button" class="quiet" onClick={signOut}>
              Sign out
            </button>
          </div>
        </div>
      </header>
      {searching && (
        <Search
          places={[...main, ...admin, account]}
          actions={actions(main, signOut)}
          refresh={refresh}
          onClose={() => setSearching(false)}
        />
      )}
    </>
  );
}

/** Draw again whenever the look changes. */
function useLook(): void {
  const [, setTick] = useState(0);
  useEffect(() => onLook(() => setTick((tick) => tick + 1)), []);
}

/** Where the bar is beside the page: the page takes its room, for terminals above all. */
function FoldButton(): JSX.Element {
  useLook();
  return (
    <button
      type="button"
      class="quiet fold"
      aria-label="Side bar"
      aria-expanded={!folded()}
      aria-controls="folded"
      title={folded() ? "Unfold the side bar" : "Fold the side bar"}
      onClick={() => setLook({ folded: !folded() })}
    >
      <SideBar />
    </button>
  );
}

const COLOURS: Record<Theme, string> = { system: "System", light: "Light", dark: "Dark" };

function Colours(): JSX.Element {
  useLook();
  return (
    <select
      aria-label="Colours"
      title="Colours of this page"
      value={theme()}
      onChange={(event) => setLook({ theme: event.currentTarget.value as Theme })}
    >
      {THEMES.map((one) => (
        <option key={one} value={one}>
          {COLOURS[one]}
        </option>
      ))}
    </select>
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

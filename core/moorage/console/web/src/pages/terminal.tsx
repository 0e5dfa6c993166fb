// One shared terminal: what it shows, who is here, and whose keys it takes.
import type { JSX } from "preact";
import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";
import { ApiError, socketUrl } from "../api";
import type { PageProps } from "../app";
import { Live, type Phase } from "../live";
import { go } from "../router";
import { isToggle, Screen } from "../terminal/screen";
import { full } from "../time";
import * as tmux from "../tmux";

interface Person {
  id: string;
  name: string;
}

export default function TerminalPage({ session, state, refresh }: PageProps & { session: string }): JSX.Element {
  const mount = tmux.mountOf(state);
  useEffect(() => {
    document.title = `${session} – Moorage`;
  }, [session]);
  if (mount === null) {
    return (
      <main class="narrow">
        <p class="empty">
          No terminals are served at this address. <a href="/">Go to the start</a>.
        </p>
      </main>
    );
  }
  return <Shared session={session} mount={mount} state={state} refresh={refresh} />;
}

function Shared({ session, mount, state, refresh }: PageProps & { session: string; mount: string }): JSX.Element {
  const me = state.user.id;
  const box = useRef<HTMLDivElement>(null);
  const screen = useRef<Screen | null>(null);
  const live = useRef<Live | null>(null);
  const control = useRef<HTMLButtonElement>(null);
  const [phase, setPhase] = useState<Phase>("connecting");
  const [seconds, setSeconds] = useState(0);
  const [ended, setEnded] = useState<string | null>(null);
  const [notice, setNotice] = useState<string | null>(null);
  const [claim, setClaim] = useState<tmux.Claim | null>(null);
  const [people, setPeople] = useState<Person[]>([]);
  const [attempt, setAttempt] = useState(0);

  const mine = claim?.userId === me;
  const typing = mine && phase === "open";
  // A guess from the built-in roles, for what is offered; the server decides, and says why not.
  const mayTake = state.user.role !== "viewer";
  const mayOverride = mayTake && state.user.role !== "operator";

  const change = async (take: boolean) => {
    try {
      if (take) {
        setClaim(await tmux.claim(mount, session));
      } else {
        await tmux.release(mount, session);
        setClaim(null);
      }
      setNotice(null);
    } catch (error) {
      if (error instanceof ApiError && error.status === 401) void refresh();
      setNotice(error instanceof Error ? error.message : String(error));
    }
  };

  // The emulator's handlers are made once; they read the present state from here.
  const now = useRef({ claim, mine, mayTake, change });
  now.current = { claim, mine, mayTake, change };

  useEffect(() => {
    if (!box.current) return;
    const made = new Screen(
      box.current,
      (text) => {
        if (!live.current?.send({ type: "sendKeys", keys: text, raw: true })) {
          setNotice("There is no connection: what you type is not sent.");
        }
      },
      (event) => {
        const { mayTake, claim, change } = now.current;
        if (claim === null ? mayTake && event.key === "Enter" : isToggle(event)) {
          void change(true);
          return true;
        }
        if (event.key.length === 1 && !event.ctrlKey && !event.metaKey) setNotice(readingNotice(mayTake, claim));
        return false;
      },
    );
    screen.current = made;
    made.focus();
    return () => {
      made.dispose();
      screen.current = null;
    };
  }, []);

  // Before the page says so: a key that is pressed on seeing it must not be lost.
  useLayoutEffect(() => {
    if (!screen.current) return;
    screen.current.typing = typing;
    if (typing) {
      screen.current.focus();
      setNotice(null);
    }
  }, [typing]);

  useEffect(() => {
    const toggle = (event: KeyboardEvent) => {
      if (!isToggle(event) || !now.current.mine) return;
      event.preventDefault();
      void now.current.change(false);
      control.current?.focus();
    };
    window.addEventListener("keydown", toggle, true);
    return () => window.removeEventListener("keydown", toggle, true);
  }, []);

  useEffect(() => {
    let seen: number | null = null;
    setEnded(null);
    const receive = (message: Record<string, unknown>) => {
      switch (message["type"]) {
        case "output": {
          if (typeof message["cols"] === "number" && typeof message["rows"] === "number") {
            screen.current?.resize(message["cols"], message["rows"]);
          }
          if (typeof message["data"] === "string") screen.current?.write(message["data"]);
          if (typeof message["seq"] === "number") seen = message["seq"];
          break;
        }
        case "resize":
          if (typeof message["cols"] === "number" && typeof message["rows"] === "number") {
            screen.current?.resize(message["cols"], message["rows"]);
          }
          break;
        case "connected":
          if ("claim" in message) setClaim(message["claim"] as tmux.Claim | null);
          break;
        case "claimed": {
          const by = message["by"] as Person;
          setClaim({ userId: by.id, userName: by.name, expiresAt: String(message["expiresAt"]) });
          break;
        }
        case "released":
          setClaim(null);
          break;
        case "claimExpiring":
          setNotice(`Your control ends in ${Math.round(Number(message["secondsLeft"]) / 60)} minutes: type, or take it again.`);
          break;
        case "sessionRenamed":
          go(`/console/terminal/${encodeURIComponent(String(message["name"]))}`, true);
          break;
        case "presence":
          setPeople(message["users"] as Person[]);
          break;
        case "error":
          setNotice(String(message["message"]));
          break;
      }
    };
    const path = `${mount}/ws/terminal/${encodeURIComponent(session)}`;
    const made = new Live({
      url: () => socketUrl(seen === null ? path : `${path}?since=${seen}`),
      onMessage: (message) => {
        if (message["sessionId"] === undefined || message["sessionId"] === session) receive(message);
      },
      onPhase: (to, pause) => {
        setPhase(to);
        setSeconds(pause);
        // A page that was away does not know what happened meanwhile.
        if (to === "open") void look(mount, session, setClaim, setPeople);
        if (to === "waiting") void refresh();
      },
      onClose: (code, reason) => {
        if (code === 4001) void refresh();
        const final = endText(code, reason);
        if (final !== null) setEnded(final);
        return final !== null;
      },
    });
    live.current = made;
    return () => {
      live.current = null;
      made.end();
    };
  }, [mount, session, attempt, refresh]);

  return (
    <main class="terminal">
      <div class="bar">
        <h1>{session}</h1>
        <p class={typing ? "mode typing" : "mode reading"} role="status">
          {typing ? "You type here" : `Read-only: ${claim === null || mine ? "nobody types" : `${claim.userName ?? "somebody else"} types`}`}
          {typing && claim && <small title={full(claim.expiresAt)}> · Ctrl+Shift+Enter gives it back</small>}
        </p>
        {people.length > 0 && <p class="people">Here now: {people.map((person) => person.name).join(", ")}</p>}
        {ended !== null ? null : mine ? (
          <button ref={control} type="button" onClick={() => void change(false)}>
            Release
          </button>
        ) : (
          (claim === null ? mayTake : mayOverride) && (
            <button ref={control} type="button" onClick={() => void change(true)}>
              {claim === null ? "Take control" : "Take over"}
            </button>
          )
        )}
      </div>
      {phase !== "open" && ended === null && (
        <p class="notice" role="status">
          {phase === "waiting" ? `The connection was lost. Trying again in ${seconds} s…` : "Connecting…"}
        </p>
      )}
      {ended !== null && (
        <div class="trouble" role="alert">
          <p>{ended}</p>
          <button type="button" onClick={() => setAttempt(attempt + 1)}>
            Connect again
          </button>
          <a href="/">All terminals</a>
        </div>
      )}
      {notice !== null && (
        <p class="notice" role="alert">
          {notice}
        </p>
      )}
      <div class={typing ? "screen typing" : "screen"} ref={box} role="group" aria-label={`Terminal ${session}`} />
    </main>
  );
}

async function look(
  mount: string,
  session: string,
  setClaim: (claim: tmux.Claim | null) => void,
  setPeople: (people: Person[]) => void,
): Promise<void> {
  try {
    const found = (await tmux.list(mount)).find((each) => each.id === session || each.name === session);
    if (!found) return;
    setClaim(found.claim);
    if (found.viewers) setPeople(found.viewers.map((each) => ({ id: each.userId ?? each.id ?? "", name: each.name })));
  } catch {
    // The socket is open and tells of every change from now on; the next opening looks again.
  }
}

function readingNotice(mayTake: boolean, claim: tmux.Claim | null): string {
  if (!mayTake) return "You may watch here, not type. Ask an administrator for the operator's role.";
  if (claim === null) return "Nothing was typed: press Enter, or the button, to take control first.";
  return `Nothing was typed: ${claim.userName ?? "somebody else"} has control.`;
}

/** Why a close is final; null when it is worth trying again. */
function endText(code: number, reason: string): string | null {
  if (code === 4001) return "You were signed out.";
  if (code === 4003) return reason || "You may not see this terminal any more.";
  if (code === 4004) return "This session does not exist, or has ended.";
  return null;
}

// The start: the terminals of this server, who holds them, and the way in.
import type { JSX } from "preact";
import { useEffect, useState } from "preact/hooks";
import { ApiError, socketUrl } from "../api";
import { type PageProps, Trouble } from "../app";
import { Live } from "../live";
import { ago, full } from "../time";
import * as tmux from "../tmux";

const ASK_EVERY = 15_000;
const CHANGES = new Set(["sessions", "sessionCreated", "sessionDestroyed", "sessionRenamed", "claimed", "released", "presence"]);

export function Home({ state, refresh }: PageProps): JSX.Element {
  const mount = tmux.mountOf(state);
  useEffect(() => {
    document.title = "Moorage";
  }, []);
  return (
    <main>
      <h1>Terminals</h1>
      {mount === null ? (
        <p class="empty">
          No terminals are served at this address. The operator switches them on with{" "}
          <code>moorage plugins enable tmux</code>.
        </p>
      ) : (
        <Sessions mount={mount} me={state.user.id} refresh={refresh} />
      )}
    </main>
  );
}

function Sessions({ mount, me, refresh }: { mount: string; me: string; refresh: () => Promise<void> }): JSX.Element {
  const [sessions, setSessions] = useState<tmux.Session[] | null>(null);
  const [problem, setProblem] = useState<string | null>(null);
  const [again, setAgain] = useState(0);

  useEffect(() => {
    let gone = false;
    let planned = 0;
    const load = async () => {
      planned = 0;
      try {
        const found = await tmux.list(mount);
        if (gone) return;
        setSessions(found);
        setProblem(null);
      } catch (error) {
        if (gone) return;
        if (error instanceof ApiError && error.status === 401) void refresh();
        setProblem(error instanceof Error ? error.message : String(error));
      }
    };
    // Many changes at once ask once.
    const soon = () => {
      if (planned === 0) planned = window.setTimeout(() => void load(), 150);
    };
    void load();
    const live = new Live({
      url: () => socketUrl(`${mount}/ws`),
      onMessage: (message) => {
        if (typeof message["type"] === "string" && CHANGES.has(message["type"])) soon();
      },
      onPhase: () => undefined,
      onClose: (code) => {
        if (code === 4001) void refresh();
        return code === 4001;
      },
    });
    // The socket tells at once; asking now and then is for servers and networks where it cannot.
    const timer = window.setInterval(() => {
      if (document.visibilityState !== "hidden") soon();
    }, ASK_EVERY);
    return () => {
      gone = true;
      live.end();
      clearInterval(timer);
      clearTimeout(planned);
    };
  }, [mount, refresh, again]);

  if (sessions === null) {
    if (problem === null) return <p class="loading">Loading…</p>;
    return <Trouble text={problem} retry={async () => setAgain(again + 1)} />;
  }
  return (
    <>
      {problem !== null && <Trouble text={problem} retry={async () => setAgain(again + 1)} />}
      {sessions.length === 0 ? (
        <p class="empty">
          No tmux session runs. Start one on the server with <code>tmux new -d -s main</code>; it appears here by itself.
        </p>
      ) : (
        <ul class="cards">
          {sessions.map((session) => (
            <Card key={session.id} session={session} me={me} />
          ))}
        </ul>
      )}
    </>
  );
}

function Card({ session, me }: { session: tmux.Session; me: string }): JSX.Element {
  const windows = session.windows === 1 ? "1 window" : `${session.windows} windows`;
  const viewers = session.viewers ?? [];
  return (
    <li>
      <a class="card" href={`/console/terminal/${encodeURIComponent(session.id)}`}>
        <strong>{session.name}</strong>
        <span>
          {windows}, started <time title={full(session.created)}>{ago(session.created)}</time>
          {session.attached && ", attached on the server"}
        </span>
        <span class={session.claim ? "claim" : "free"}>{claimText(session.claim, me)}</span>
        {viewers.length > 0 && <span>Here now: {viewers.map((viewer) => viewer.name).join(", ")}</span>}
      </a>
    </li>
  );
}

function claimText(claim: tmux.Claim | null, me: string): string {
  if (!claim) return "Nobody is typing";
  return claim.userId === me ? "You are typing" : `${claim.userName ?? "Somebody else"} is typing`;
}

// All recordings that one may see: what was recorded, when, by whom; the way to replay, keep and delete them.
import type { JSX } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { ApiError, socketUrl } from "../api";
import type { PageProps } from "../app";
import { Confirm, Problem, Said, useTask, useTitle, words } from "../forms";
import { Live } from "../live";
import { go, useQuery } from "../router";
import { Trouble } from "../shell/trouble";
import { ago, full } from "../time";
import * as tmux from "../tmux";
import * as recordings from "./recordings";
import type { Recording } from "./recordings";
import "./recordings.css";

/** How often recordings that go on are looked at again. */
const ASK_EVERY = 5_000;

export default function RecordingsPage({ state, refresh }: PageProps): JSX.Element {
  useTitle("Recordings");
  const mount = tmux.mountOf(state);
  const query = useQuery();
  const session = query.get("session") ?? "";
  const offset = Math.max(0, Math.floor(Number(query.get("offset")) || 0));
  return (
    <main class="recordings">
      <h1>Recordings</h1>
      {mount === null ? (
        <p class="empty">No terminals are served at this address, and so no recordings of them.</p>
      ) : (
        <List key={`${offset} ${session}`} mount={mount} session={session} offset={offset} user={state.user} refresh={refresh} />
      )}
    </main>
  );
}

interface ListProps {
  mount: string;
  session: string;
  offset: number;
  user: PageProps["state"]["user"];
  refresh: () => Promise<void>;
}

function List({ mount, session, offset, user, refresh }: ListProps): JSX.Element {
  const [found, setFound] = useState<{ recordings: Recording[]; total: number } | null>(null);
  const [problem, setProblem] = useState<string | null>(null);
  const [said, setSaid] = useState<string | null>(null);
  const [, setTick] = useState(0);
  const heading = useRef<HTMLHeadingElement>(null);
  const task = useTask(refresh);
  const gone = useRef(false);

  const load = async () => {
    try {
      const page = await recordings.list(mount, session, offset);
      if (gone.current) return;
      // The last one of a page was deleted.
      if (page.recordings.length === 0 && offset > 0) go(recordings.listPath(session, Math.max(0, offset - recordings.PAGE)), true);
      setFound(page);
      setProblem(null);
    } catch (error) {
      if (gone.current) return;
      if (error instanceof ApiError && error.status === 401) void refresh();
      setProblem(words(error));
    }
  };
  const live = found?.recordings.some((recording) => recording.live) ?? false;

  useEffect(() => {
    gone.current = false;
    void load();
    const socket = new Live({
      url: () => socketUrl(`${mount}/ws`),
      onMessage: (message) => {
        if (message["type"] === "recording") void load();
        if (message["type"] === "permissions") void refresh();
      },
      onPhase: () => undefined,
      onClose: (code) => {
        if (code === 4001) void refresh();
        return code === 4001;
      },
    });
    return () => {
      gone.current = true;
      socket.end();
    };
  }, []);
  useEffect(() => {
    if (!live) return undefined;
    const timer = setInterval(() => {
      if (document.visibilityState === "hidden") return;
      void load();
      setTick((tick) => tick + 1);
    }, ASK_EVERY);
    return () => clearInterval(timer);
  }, [live]);

  const erase = (recording: Recording) =>
    task.run(async () => {
      await recordings.erase(mount, recording.id);
      setSaid(`Deleted: the recording of ${recording.sessionId}.`);
      await load();
      heading.current?.focus();
    });

  if (found === null) {
    return problem === null ? <p class="loading">Loading…</p> : <Trouble text={problem} retry={load} />;
  }
  return (
    <>
      {problem !== null && <Trouble text={problem} retry={load} />}
      <Filter session={session} />
      <h2 class="unseen" tabIndex={-1} ref={heading}>
        {session === "" ? "All terminals" : `Terminal ${session}`}
      </h2>
      <Problem text={task.problem} />
      <Said>{said}</Said>
      {found.total === 0 ? (
        <p class="empty">
          {session === ""
            ? "Nothing has been recorded yet. A recording is begun on a terminal's page; everybody who is there is told."
            : `Nothing has been recorded of a terminal named ${session}.`}
        </p>
      ) : (
        <ul class="rows">
          {found.recordings.map((recording) => (
            <Row
              key={recording.id}
              mount={mount}
              recording={recording}
              erase={recordings.mayErase(user, recording) ? () => void erase(recording) : null}
              busy={task.busy}
            />
          ))}
        </ul>
      )}
      <Pages session={session} offset={offset} shown={found.recordings.length} total={found.total} />
    </>
  );
}

function Filter({ session }: { session: string }): JSX.Element {
  const submit = (event: SubmitEvent) => {
    event.preventDefault();
    go(recordings.listPath(String(new FormData(event.currentTarget as HTMLFormElement).get("session")).trim()));
  };
  return (
    <form class="filter" role="search" onSubmit={submit}>
      <label>
        <span class="unseen">Only the terminal named</span>
        <input name="session" type="search" defaultValue={session} placeholder="Name of a terminal" autocomplete="off" spellcheck={false} />
      </label>
      <button type="submit" class="quiet">
        Show
      </button>
      {session !== "" && <a href={recordings.listPath("")}>All terminals</a>}
    </form>
  );
}

interface RowProps {
  mount: string;
  recording: Recording;
  erase: (() => void) | null;
  busy: boolean;
}

function Row({ mount, recording, erase, busy }: RowProps): JSX.Element {
  const why = recordings.endText(recording.endReason);
  return (
    <li class="item">
      <div>
        <a class="name" href={recordings.replayPath(recording.id)}>
          {recording.sessionId}
        </a>
        {recording.live && <span class="mark live">live</span>}
        <p>
          <time title={full(recording.startedAt)}>{ago(recording.startedAt)}</time>, {recordings.clock(recording.duration)} long,{" "}
          {recordings.bytes(recording.size)}, by {recordings.by(recording)}
          {why !== "" && `; ended because ${why}`}
        </p>
      </div>
      <div class="choice">
        <a class="button" href={recordings.replayPath(recording.id)}>
          Replay<span class="unseen"> {about(recording)}</span>
        </a>
        <Downloads mount={mount} recording={recording} />
        {erase !== null && !recording.live && (
          <Confirm
            label="Delete"
            about={about(recording)}
            question="Delete it for everybody?"
            yes="Delete it"
            busy={busy}
            act={erase}
          />
        )}
      </div>
    </li>
  );
}

const about = (recording: Recording): string => `the recording of ${recording.sessionId} of ${full(recording.startedAt)}`;

/** The file, in the version that players of today read and in the one that older ones do. */
export function Downloads({ mount, recording }: { mount: string; recording: Recording }): JSX.Element {
  return (
    <>
      <a class="button" href={recordings.castUrl(mount, recording.id, "v3")} download title="asciicast version 3">
        Download<span class="unseen"> {about(recording)}, asciicast version 3</span>
      </a>
      <a class="button" href={recordings.castUrl(mount, recording.id, "v2")} download title="asciicast version 2, for older players">
        <span class="unseen">Download {about(recording)}, asciicast version </span>v2
      </a>
    </>
  );
}

function Pages({ session, offset, shown, total }: { session: string; offset: number; shown: number; total: number }): JSX.Element | null {
  if (total <= recordings.PAGE && offset === 0) return null;
  const older = offset + shown < total;
  return (
    <nav class="pages" aria-label="Pages of recordings">
      {offset > 0 && <a href={recordings.listPath(session, Math.max(0, offset - recordings.PAGE))}>Newer</a>}
      <span>
        {shown === 0 ? 0 : offset + 1}–{offset + shown} of {total}
      </span>
      {older && <a href={recordings.listPath(session, offset + recordings.PAGE)}>Older</a>}
    </nav>
  );
}

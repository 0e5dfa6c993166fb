// A recording played in the page: what was shown, at its pace or faster, from any place.
import type { JSX } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { ApiError, type User } from "../api";
import type { PageProps } from "../app";
import { Confirm, useTask, useTitle, words } from "../forms";
import { by, bytes, castUrl, endText, erase, listPath, mayErase, one, type Recording } from "../recordings/recordings";
import { Downloads } from "../recordings/page";
import { go } from "../router";
import { Trouble } from "../shell/trouble";
import { ago, full } from "../time";
import { mountOf, RECORDINGS } from "../tmux";
import { Cast, CastError } from "./cast";
import { Controls } from "./controls";
import { fetchInto } from "./load";
import { Picture } from "./picture";
import { BEHIND, Player } from "./player";
import "./replay.css";

/** Of a recording that goes on: after how many fetches the server is asked whether it still does. */
const LOOK_EACH = 3;
/** Milliseconds until something is tried again that did not work. */
const RETRY_AFTER = 4_000;

export default function ReplayPage({ id, state, refresh }: PageProps & { id: string }): JSX.Element {
  const mount = mountOf(state);
  const [recording, setRecording] = useState<Recording | null>(null);
  const [problem, setProblem] = useState<string | null>(null);
  useTitle(recording === null ? "Recording" : `Recording of ${recording.sessionId}`);

  const load = async () => {
    if (mount === null) return;
    try {
      setRecording(await one(mount, id));
      setProblem(null);
    } catch (error) {
      if (error instanceof ApiError && error.status === 401) void refresh();
      setProblem(error instanceof ApiError && error.status === 404 ? "There is no such recording (any more)." : words(error));
    }
  };
  useEffect(() => void load(), [mount, id]);

  if (mount === null || recording === null) {
    return (
      <main>
        {problem !== null ? (
          <Trouble text={problem} retry={load} />
        ) : (
          <p class="loading">{mount === null ? "No terminals are served at this address." : "Loading…"}</p>
        )}
        <a href={RECORDINGS}>All recordings</a>
      </main>
    );
  }
  return <Replay mount={mount} recording={recording} user={state.user} update={setRecording} refresh={refresh} />;
}

interface ReplayProps {
  mount: string;
  recording: Recording;
  user: User;
  update: (recording: Recording) => void;
  refresh: () => Promise<void>;
}

function Replay({ mount, recording, user, update, refresh }: ReplayProps): JSX.Element {
  const box = useRef<HTMLDivElement>(null);
  const [player, setPlayer] = useState<{ player: Player; cast: Cast } | null>(null);
  const [problem, setProblem] = useState<string | null>(null);
  const [loaded, setLoaded] = useState<{ have: number; total: number | null } | null>(null);
  const [attempt, setAttempt] = useState(0);
  const [, setTick] = useState(0);
  const task = useTask(refresh);
  const { id, sessionId } = recording;

  useEffect(() => {
    if (!box.current) return undefined;
    const cast = new Cast();
    const screen = new Picture(box.current, `What the terminal ${sessionId} showed`);
    const made = new Player(cast, screen, () => setTick((tick) => tick + 1));
    const stop = new AbortController();
    const url = castUrl(mount, id, "v3");
    let begun = false;

    const take = async () => {
      await fetchInto(cast, url, stop.signal, (total) => {
        if (!begun && cast.header !== null) {
          begun = true;
          screen.resize(cast.header.cols, cast.header.rows);
          made.play();
        }
        made.grown();
        setLoaded({ have: cast.bytes, total });
      });
    };
    const run = async () => {
      let live = true;
      for (let round = 0; live; round += 1) {
        try {
          // Asked first: what was added until it ended is fetched in the same round.
          if (round % LOOK_EACH === 0) {
            const now = await one(mount, id);
            update(now);
            live = now.live;
          }
          await take();
          setProblem(null);
        } catch (error) {
          if (stop.signal.aborted) return;
          if (!passing(error)) throw error;
          // What is here is played meanwhile, and the rest fetched from where it broke off.
          setProblem(words(error));
          live = true;
          round = -1;
        }
        if (live) await pauseUntilSeen(round < 0 ? RETRY_AFTER : BEHIND * 1000, stop.signal);
      }
      await cast.end();
      setLoaded(null);
    };
    const tell = (error: unknown) => {
      if (stop.signal.aborted) return;
      if (error instanceof ApiError && error.status === 401) void refresh();
      setProblem(words(error));
      // What came is played all the same; a file that is no recording has nothing to play.
      if (!(error instanceof CastError)) cast.complete = true;
    };
    setProblem(null);
    setPlayer({ player: made, cast });
    void run()
      .catch(tell)
      .finally(() => made.grown());
    return () => {
      stop.abort();
      made.end();
      screen.dispose();
      setPlayer(null);
    };
  }, [mount, id, attempt]);

  const remove = () =>
    task.run(async () => {
      await erase(mount, id);
      go(listPath(""), true);
    });
  const why = endText(recording.endReason);
  const cast = player?.cast;
  return (
    <main class="replay">
      <div class="bar">
        <h1>{sessionId}</h1>
        <p class={recording.live ? "mode live" : "mode"}>{recording.live ? "Recording, live" : "Recording"}</p>
        <p class="facts-line">
          <time title={full(recording.startedAt)}>{ago(recording.startedAt)}</time>, {bytes(recording.size)}, by {by(recording)}
          {why !== "" && `; ended because ${why}`}
        </p>
        <div class="choice">
          <Downloads mount={mount} recording={recording} />
          {mayErase(user, recording) && !recording.live && (
            <Confirm label="Delete" question="Delete it for everybody?" yes="Delete it" busy={task.busy} act={() => void remove()} />
          )}
        </div>
      </div>
      {(problem ?? task.problem) !== null && (
        <Trouble text={problem ?? task.problem ?? ""} retry={async () => setAttempt(attempt + 1)} />
      )}
      {cast !== undefined && cast.broken > 0 && (
        <p class="notice" role="status">
          {cast.broken === 1 ? "One line of this recording is damaged" : `${cast.broken} lines of this recording are damaged`}; the rest
          is played.
        </p>
      )}
      <div class="pictured" ref={box} role="group" aria-label={`Replay of ${sessionId}`} />
      {player !== null && (
        <Controls
          player={player.player}
          cast={player.cast}
          length={recording.live ? player.cast.duration : Math.max(player.cast.duration, loaded === null ? 0 : recording.duration)}
          live={recording.live}
          loading={loaded === null || recording.live ? null : share(loaded)}
        />
      )}
    </main>
  );
}

const share = ({ have, total }: { have: number; total: number | null }): string =>
  total === null || total === 0 ? bytes(have) : `${Math.floor((100 * have) / total)} %`;

/** Whether it may work if it is tried again. */
const passing = (error: unknown): boolean => error instanceof ApiError && [0, 429, 502, 503, 504].includes(error.status);

/** Wait, and go on waiting while nobody looks. */
async function pauseUntilSeen(milliseconds: number, signal: AbortSignal): Promise<void> {
  do await pause(milliseconds, signal);
  while (document.visibilityState === "hidden");
}

/** Wait; less when the network comes back meanwhile. */
function pause(milliseconds: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const over = (how: () => void) => () => {
      clearTimeout(timer);
      window.removeEventListener("online", done);
      signal.removeEventListener("abort", broken);
      how();
    };
    const done = over(resolve);
    const broken = over(() => reject(signal.reason as Error));
    const timer = setTimeout(done, milliseconds);
    window.addEventListener("online", done);
    signal.addEventListener("abort", broken);
  });
}

// One session: how it is, and its log, files and terminal on pages of their own.
import type { JSX } from "preact";
import { lazy, Suspense } from "preact/compat";
import { useEffect, useState } from "preact/hooks";
import type { PageProps } from "../app";
import { Problem, Said, useTask, useTitle } from "../forms";
import { go } from "../router";
import { Trouble } from "../shell/trouble";
import { Controls, type Done } from "./controls";
import { Log } from "./log";
import * as sessions from "./sessions";
import { Facts, Ways } from "./summary";
import { useWatched } from "./watch";
import "../list.css";
import "./sessions.css";

const Files = lazy(() => import("./files"));
const Terminal = lazy(() => import("./terminal"));

const STATS_EVERY = 5_000;

type OneProps = PageProps & { id: string; tab: string };

export default function SessionPage(props: OneProps): JSX.Element {
  const mount = sessions.mountOf(props.state);
  if (mount !== null) return <One {...props} mount={mount} />;
  return (
    <main>
      <p class="empty">No coding agents are served at this address.</p>
    </main>
  );
}

async function load(mount: string, id: string): Promise<{ session: sessions.Session; newer: boolean }> {
  const [session, updates] = await Promise.all([sessions.read(mount, id), sessions.updates(mount).catch(() => [])]);
  return { session, newer: updates.some((one) => one.session_id === id && one.update_available) };
}

function One({ mount, id, tab, state, refresh }: OneProps & { mount: string }): JSX.Element {
  const { found, problem, missing, again } = useWatched(mount, () => load(mount, id), refresh, id);
  const [said, setSaid] = useState<string | null>(null);
  const task = useTask(refresh);
  useTitle(found?.session.name ?? "Session");
  if (missing) {
    return (
      <main class="narrow">
        <h1>{found === null ? "There is no such session" : `${found.session.name} was deleted`}</h1>
        <p role="alert">
          {found === null
            ? "It was deleted, or it is somebody else's."
            : "An administrator ended it, or you did elsewhere. The project's files are where they were."}{" "}
          <a href={sessions.LIST}>Your sessions</a>
        </p>
      </main>
    );
  }
  if (found === null) {
    return <main>{problem === null ? <p class="loading">Loading…</p> : <Trouble text={problem} retry={again} />}</main>;
  }
  const { session, newer } = found;
  const { permissions } = state.user;
  const done: Done = async (text, gone) => {
    if (gone) return go(sessions.LIST);
    setSaid(text);
    await again();
  };
  const may = (permission: string) => permissions.includes(permission);
  const tabs: [string, string, boolean][] = [
    ["", "Overview", true],
    ["terminal", "Terminal", may(sessions.MAY.terminal)],
    ["files", "Files", may(sessions.MAY.read)],
    ["log", "Log", true],
  ];
  return (
    <main class="session">
      <div class="heading">
        <h1>{session.name}</h1>
        <span class={`mark ${session.status}`} role="status">
          {sessions.statusText(session.status)}
        </span>
        <nav class="tabs" aria-label="Parts of the session">
          {tabs.map(
            ([name, label, shown]) =>
              shown && (
                <a key={name} href={sessions.pageOf(id, name)} aria-current={tab === name ? "page" : undefined}>
                  {label}
                </a>
              ),
          )}
        </nav>
      </div>
      {problem !== null && <Trouble text={problem} retry={again} />}
      <Problem text={task.problem} />
      <Said>{said}</Said>
      <Suspense fallback={<p class="loading">Loading…</p>}>
        {tab === "terminal" ? (
          <Terminal mount={mount} session={session} refresh={refresh} />
        ) : tab === "files" ? (
          <Files mount={mount} session={session} mayWrite={may(sessions.MAY.write)} refresh={refresh} />
        ) : tab === "log" ? (
          <Log mount={mount} id={id} />
        ) : (
          <>
            <Facts session={session} />
            {session.status === "running" && <Usage mount={mount} id={id} />}
            <div class="choice">
              <Ways mount={mount} session={session} permissions={permissions} />
              <Controls mount={mount} session={session} permissions={permissions} newer={newer} task={task} done={done} />
            </div>
          </>
        )}
      </Suspense>
    </main>
  );
}

function Usage({ mount, id }: { mount: string; id: string }): JSX.Element | null {
  const [stats, setStats] = useState<sessions.Stats | null>(null);
  useEffect(() => {
    let gone = false;
    const ask = async () => {
      if (document.visibilityState === "hidden") return;
      const found = await sessions.stats(mount, id).catch(() => null);
      if (!gone) setStats(found);
    };
    void ask();
    const timer = setInterval(() => void ask(), STATS_EVERY);
    return () => {
      gone = true;
      clearInterval(timer);
    };
  }, [mount, id]);
  if (stats === null) return null;
  const limit = stats.memory_limit === null ? "" : ` of ${sessions.size(stats.memory_limit)}`;
  return (
    <p>
      {sessions.size(stats.memory_bytes)} of memory{limit}, {Math.round(stats.cpu_percent)} % of a core, {stats.processes === 1 ? "1 process" : `${stats.processes} processes`}
    </p>
  );
}

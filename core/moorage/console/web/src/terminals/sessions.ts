// The list of terminals as it is at every moment: the socket tells of changes, the server is asked for the rest.
import { useEffect, useState } from "preact/hooks";
import { ApiError, socketUrl } from "../api";
import { words } from "../forms";
import { Live } from "../live";
import * as tmux from "../tmux";

/** Who looks at what is told only to those who look: the list is asked for that, so often in milliseconds. */
const ASK_EVERY = 5_000;

export interface Found {
  /** Null until the first answer. */
  sessions: tmux.Session[] | null;
  problem: string | null;
  /** What starts a session in a shell on the server; null for those who may not, and while it is not known. */
  command: string | null;
  again: () => void;
}

type Message = Record<string, unknown>;

export function useSessions(mount: string, refresh: () => Promise<void>): Found {
  const [sessions, setSessions] = useState<tmux.Session[] | null>(null);
  const [problem, setProblem] = useState<string | null>(null);
  const [command, setCommand] = useState<string | null>(null);
  const [attempt, setAttempt] = useState(0);

  useEffect(() => {
    let gone = false;
    let open = false;
    const load = async () => {
      try {
        const found = await tmux.list(mount);
        if (gone) return;
        setSessions(found);
        setProblem(null);
      } catch (error) {
        if (gone) return;
        if (error instanceof ApiError && error.status === 401) void refresh();
        setProblem(words(error));
      }
    };
    const receive = (message: Message) => {
      if (message["type"] === "sessions") setProblem(null);
      if (message["type"] === "error" && message["code"] === "TMUX_ERROR") setProblem(String(message["message"]));
      if (message["type"] === "permissions") void refresh();
      if (message["type"] === "connected") setCommand(typeof message["command"] === "string" ? message["command"] : null);
      setSessions((before) => changed(before, message));
    };
    void load();
    const live = new Live({
      url: () => socketUrl(`${mount}/ws`),
      onMessage: receive,
      onPhase: (phase) => {
        open = phase === "open";
      },
      onClose: (code) => {
        if (code === 4001) void refresh();
        return code === 4001;
      },
    });
    const timer = setInterval(() => {
      if (document.visibilityState === "hidden") return;
      if (!open || !live.send({ type: "listSessions" })) void load();
    }, ASK_EVERY);
    return () => {
      gone = true;
      live.end();
      clearInterval(timer);
    };
  }, [mount, refresh, attempt]);

  return { sessions, problem, command, again: () => setAttempt((value) => value + 1) };
}

/** The list after a message of the socket; the same list where it says nothing about it. */
function changed(sessions: tmux.Session[] | null, message: Message): tmux.Session[] | null {
  if (message["type"] === "sessions") return message["sessions"] as tmux.Session[];
  if (sessions === null) return null;
  const id = message["sessionId"];
  const change = (how: (session: tmux.Session) => tmux.Session): tmux.Session[] =>
    sessions.map((session) => (session.id === id ? how(session) : session));
  switch (message["type"]) {
    case "sessionCreated": {
      const made = message["session"] as tmux.Session;
      return sessions.some((session) => session.id === made.id) ? sessions : [...sessions, made];
    }
    case "sessionDestroyed":
      return sessions.filter((session) => session.id !== id);
    case "sessionRenamed": {
      const name = String(message["name"]);
      return change((session) => ({ ...session, id: name, name }));
    }
    case "claimed": {
      const by = message["by"] as { id: string; name: string };
      const claim = { userId: by.id, userName: by.name, expiresAt: String(message["expiresAt"]) };
      return change((session) => ({ ...session, claim }));
    }
    case "released":
      return change((session) => ({ ...session, claim: null }));
    case "recording": {
      const recording = (message["recording"] ?? null) as tmux.Running | null;
      return change((session) => ({ ...session, recording }));
    }
    default:
      return sessions;
  }
}

/** Those that have all words of `filter` in their name, or in the name of somebody who is there. */
export function matching(sessions: tmux.Session[], filter: string): tmux.Session[] {
  const wanted = filter.toLowerCase().split(/\s+/).filter(Boolean);
  return sessions.filter((session) => {
    const text = [session.name, session.claim?.userName, ...(session.viewers ?? []).map((viewer) => viewer.name)].join(" ").toLowerCase();
    return wanted.every((word) => text.includes(word));
  });
}

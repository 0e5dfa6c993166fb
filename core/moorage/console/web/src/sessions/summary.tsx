// A session in short: where it works and since when, and the links to its parts.
import type { JSX } from "preact";
import { ago, full } from "../time";
import * as sessions from "./sessions";

export function Facts({ session }: { session: sessions.Session }): JSX.Element {
  const used = session.last_activity_at ?? session.started_at;
  return (
    <>
      <p class="path">{session.project_path}</p>
      <p>
        Made <time title={full(session.created_at)}>{ago(session.created_at)}</time>
        {used !== null && session.status === "running" && (
          <>
            , last used <time title={full(used)}>{ago(used)}</time>
          </>
        )}
        {session.stopped_at !== null && (session.status === "stopped" || session.status === "failed") && (
          <>
            , stopped <time title={full(session.stopped_at)}>{ago(session.stopped_at)}</time>
          </>
        )}
        , {session.image === null ? session.runtime : `${session.runtime}: ${session.image}`}
      </p>
      {session.error_message !== null && session.status === "failed" && <p class="problem">{session.error_message}</p>}
    </>
  );
}

interface WaysProps {
  mount: string;
  session: sessions.Session;
  permissions: string[];
}

/** Links to what the session has. Its OpenCode is resumed by the link itself, and opens at an address of its own. */
export function Ways({ mount, session, permissions }: WaysProps): JSX.Element {
  const about = <span class="unseen"> of {session.name}</span>;
  const may = (permission: string) => permissions.includes(permission);
  return (
    <>
      {may(sessions.MAY.code) && session.status !== "failed" && (
        <a class="button main" href={sessions.part(mount, session.id, "code")} target="_blank" rel="noopener">
          OpenCode{about}
        </a>
      )}
      {may(sessions.MAY.terminal) && session.status !== "failed" && (
        <a class="button" href={sessions.pageOf(session.id, "terminal")}>
          Terminal{about}
        </a>
      )}
      {may(sessions.MAY.read) && (
        <a class="button" href={sessions.pageOf(session.id, "files")}>
          Files{about}
        </a>
      )}
      <a class="button" href={sessions.pageOf(session.id, "log")}>
        Log{about}
      </a>
    </>
  );
}

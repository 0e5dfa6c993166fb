// Where one is signed in, and the way to end that.
import type { JSX } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import * as api from "../api";
import { Confirm, useTask } from "../forms";
import { DEVICE } from "../places";
import { ago, full } from "../time";
import { program, rights } from "../words";
import { type About, inWords } from "./about";
import { CHANGED } from "./changes";
import { type PartProps, Section, useList, Waiting } from "./section";

interface Session {
  id: string;
  kind: string;
  client_id: string | null;
  client_name: string | null;
  resource: string | null;
  scope: string | null;
  address: string;
  user_agent: string;
  created_at: string;
  last_seen_at: string;
  expires_at: string;
  current: boolean;
}

const EVERY = 15_000;

const fetchSessions = async () => (await api.get<{ sessions: Session[] }>("/api/core/sessions")).sessions;

export function Sessions({ about, refresh }: PartProps & { about: About | null }): JSX.Element {
  const task = useTask(refresh);
  const heading = useRef<HTMLHeadingElement>(null);
  const [said, setSaid] = useState<string | null>(null);
  const { list, load } = useList(task, fetchSessions, EVERY);
  useEffect(() => {
    const changed = () => void task.run(load);
    window.addEventListener(CHANGED, changed);
    return () => window.removeEventListener(CHANGED, changed);
  }, []);

  const end = (session: Session) =>
    task.run(async () => {
      await api.remove(`/api/core/sessions/${encodeURIComponent(session.id)}`);
      setSaid(`Ended: ${nameOf(session)}.`);
      await load();
      heading.current?.focus();
    });
  const endOthers = () =>
    task.run(async () => {
      const { ended } = await api.post<{ ended: number }>("/api/core/sessions/revoke-all", { keep_current: true });
      setSaid(ended === 1 ? "One login was ended." : `${ended} logins were ended.`);
      await load();
      heading.current?.focus();
    });

  return (
    <Section title="Where you are signed in" task={task} said={said} heading={heading}>
      {list === null ? (
        <Waiting task={task} load={load} />
      ) : (
        <ul class="rows">
          {list.map((session) => (
            <Row key={session.id} session={session} about={about} busy={task.busy} end={() => void end(session)} />
          ))}
        </ul>
      )}
      {list !== null && list.some((session) => !session.current) && (
        <Confirm
          label="End all others"
          question="Sign out everywhere but here?"
          yes="End all others"
          busy={task.busy}
          act={() => void endOthers()}
        />
      )}
      <p>
        <a href={DEVICE}>Let a device in by the code that it shows</a>
      </p>
    </Section>
  );
}

const nameOf = (session: Session): string => session.client_name ?? session.client_id ?? program(session.user_agent);

interface RowProps {
  session: Session;
  about: About | null;
  busy: boolean;
  end: () => void;
}

function Row({ session, about, busy, end }: RowProps): JSX.Element {
  const granted = rights(session.scope ?? "");
  return (
    <li class="item">
      <div>
        <strong title={session.user_agent}>{nameOf(session)}</strong>
        {session.current && <span class="mark">this one</span>}
        {session.client_id !== null && <span class="mark">{session.resource === null ? "device" : "program"}</span>}
        <p>
          {session.address}, last seen <time title={full(session.last_seen_at)}>{ago(session.last_seen_at)}</time>, signed in{" "}
          <time title={full(session.created_at)}>{ago(session.created_at)}</time>
          {session.resource !== null && `, for ${session.resource} only`}
          {granted !== null && `. It may only: ${granted.map((right) => inWords(right, about?.rights ?? [])).join("; ")}`}
        </p>
      </div>
      {!session.current && (
        <Confirm label="End" about={nameOf(session)} question="End this login?" yes="End it" busy={busy} act={end} />
      )}
    </li>
  );
}

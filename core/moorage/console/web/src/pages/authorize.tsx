// A program that asks to be let in at one address of this server: the person allows it, or not.
import type { JSX } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import * as api from "../api";
import type { PageProps } from "../app";
import { Problem, useTask, useTitle, words } from "../forms";
import { ACCOUNT } from "../places";

const WHERE = "/api/core/authorize";
/** Never followed, whatever a server says: these would run as a part of this page. */
const RUNS_HERE = /^(javascript|data|vbscript|blob|about|file):/i;

interface Scope {
  name: string;
  summary: string;
  held: boolean;
}

interface Asked {
  client_id: string;
  client_name: string;
  client_uri: string | null;
  kind: "configured" | "registered" | "document";
  host: string | null;
  answers_to: string;
  loopback: boolean;
  resource: string;
  plugin: string;
  scopes: Scope[];
}

interface Sent {
  redirect_to: string;
}

/** A request that is not in order; the program is told so, if the person goes there. */
interface Refused extends Sent {
  problem: string;
  answers_to: string;
}

function leave(url: string): void {
  if (RUNS_HERE.test(url)) throw new Error("The program wants to be answered at an address that is not safe.");
  location.assign(url);
}

export default function AuthorizePage({ state, refresh }: PageProps): JSX.Element {
  // As it came: what is decided about is what was asked, to the letter.
  const [query] = useState(location.search);
  const [asked, setAsked] = useState<Asked | null>(null);
  const [refused, setRefused] = useState<Refused | null>(null);
  const [outcome, setOutcome] = useState<string | null>(null);
  const task = useTask(refresh, reason);
  useTitle("Let a program in");

  const look = () =>
    task.run(async () => {
      const found = await api.get<Asked | Refused>(WHERE + query);
      if ("redirect_to" in found) setRefused(found);
      else setAsked(found);
    });
  useEffect(() => void look(), []);

  const decide = (approve: boolean) =>
    task.run(async () => {
      const { redirect_to: url } = await api.post<Sent>(WHERE, { query, approve });
      setOutcome(approve ? "Allowed. You can go back to the program." : "Not allowed. The program stays out.");
      leave(url);
    });

  return (
    <main class="narrow">
      <h1>Let a program in</h1>
      {outcome !== null ? (
        <Outcome text={outcome} />
      ) : refused !== null ? (
        <NotInOrder refused={refused} />
      ) : asked === null ? (
        task.problem === null ? (
          <p class="loading">Looking who asks…</p>
        ) : (
          <>
            <Problem text={task.problem} />
            <p class="hint">Nothing was given to the program.</p>
            <button type="button" class="quiet" onClick={() => void look()}>
              Try again
            </button>
          </>
        )
      ) : (
        <Decide asked={asked} name={state.user.username} busy={task.busy} problem={task.problem} decide={(yes) => void decide(yes)} />
      )}
    </main>
  );
}

interface DecideProps {
  asked: Asked;
  name: string;
  busy: boolean;
  problem: string | null;
  decide: (approve: boolean) => void;
}

function Decide({ asked, name, busy, problem, decide }: DecideProps): JSX.Element {
  const top = useRef<HTMLHeadingElement>(null);
  useEffect(() => top.current?.focus(), []);
  const granted = asked.scopes.filter((scope) => scope.held);
  const lacking = asked.scopes.filter((scope) => !scope.held);
  return (
    <>
      <h2 ref={top} tabIndex={-1}>
        Let <span class="name">{asked.client_name}</span> in as you?
      </h2>
      <Warning asked={asked} />
      <dl class="facts">
        <dt>It may use</dt>
        <dd>
          <code>{asked.resource}</code>
        </dd>
        <dt>And there</dt>
        <dd>
          {granted.length === 0 ? (
            "nothing: you have none of the rights that it asks for"
          ) : (
            <ul>
              {granted.map((scope) => (
                <li key={scope.name}>
                  {scope.summary} <code>{scope.name}</code>
                </li>
              ))}
            </ul>
          )}
          {lacking.length > 0 && granted.length > 0 && (
            <p class="hint">It also asks for {lacking.map((scope) => scope.name).join(", ")}, which you may not do yourself.</p>
          )}
        </dd>
        <dt>Answer goes to</dt>
        <dd>
          {asked.answers_to}
          {asked.loopback && " (this computer)"}
        </dd>
        <dt>You are</dt>
        <dd>{name}</dd>
      </dl>
      <p class="hint">It gets in nowhere else, and you can end that at any time on your account page.</p>
      <Problem text={problem} />
      <div class="choice">
        <button type="button" disabled={busy || granted.length === 0} onClick={() => decide(true)}>
          Allow
        </button>
        <button type="button" class="quiet" disabled={busy} onClick={() => decide(false)}>
          Deny
        </button>
      </div>
    </>
  );
}

/** What nobody has checked about the program. */
function Warning({ asked }: { asked: Asked }): JSX.Element | null {
  if (asked.kind === "configured" && !asked.loopback) return null;
  return (
    <p class="warning">
      {asked.kind === "registered" && (
        <>
          <strong>Nobody has checked who this is.</strong> The program chose its name itself.{" "}
        </>
      )}
      {asked.kind === "document" && (
        <>
          <strong>
            It says that it is of <span class="name">{asked.host}</span>
          </strong>
          , and so does that site.{" "}
        </>
      )}
      {asked.loopback
        ? "The answer goes to a program on this computer: only allow it if you have just started it, and asked it to connect."
        : `Only allow it if you have just asked it to connect, and trust ${asked.answers_to} with what it may do.`}
    </p>
  );
}

function NotInOrder({ refused }: { refused: Refused }): JSX.Element {
  return (
    <>
      <Problem text={`The program did not ask as it should: ${refused.problem}.`} />
      <p class="hint">Nothing was given to it. Whoever made it can mend that.</p>
      <div class="choice">
        <button type="button" class="quiet" onClick={() => leave(refused.redirect_to)}>
          Go back to {refused.answers_to}
        </button>
      </div>
    </>
  );
}

function Outcome({ text }: { text: string }): JSX.Element {
  const said = useRef<HTMLParagraphElement>(null);
  useEffect(() => said.current?.focus(), []);
  return (
    <>
      <p ref={said} class="notice" role="status" tabIndex={-1}>
        {text}
      </p>
      <p class="hint">
        Programs that were let in are listed on <a href={ACCOUNT}>your account page</a>, where you can end them.
      </p>
    </>
  );
}

function reason(error: unknown): string {
  if (!(error instanceof api.ApiError)) return words(error);
  if (error.status === 403) return `You cannot decide about this: ${error.message}`;
  return error.message;
}

// A device that asks to be let in: somebody signed in looks at it, and approves or denies.
import type { JSX } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import * as api from "../api";
import type { PageProps } from "../app";
import { Problem, useTask, useTitle, words } from "../forms";
import { ACCOUNT, DEVICE } from "../places";
import { ago, full } from "../time";
import { about as fetchAbout, inWords, lacks, type Right } from "../account/about";
import { program, rights } from "../words";

const LETTERS = 8;

interface Request {
  user_code: string;
  status: string;
  // The rest is told to whoever decides.
  client_id?: string;
  scope?: string;
  address?: string;
  user_agent?: string;
  created_at?: string;
  expires_at?: string;
}

const letters = (text: string): string => text.toUpperCase().replace(/[^A-Z]/g, "").slice(0, LETTERS);
const dashed = (text: string): string => (text.length > 4 ? `${text.slice(0, 4)}-${text.slice(4)}` : text);
const codeOfAddress = (): string => letters(new URLSearchParams(location.search).get("user_code") ?? "");

/** So that the code is still there after a reload, or after signing in again. */
function keepCode(code: string | null): void {
  history.replaceState(null, "", code === null ? DEVICE : `${DEVICE}?user_code=${dashed(code)}`);
}

export default function DevicePage({ refresh }: PageProps): JSX.Element {
  const [request, setRequest] = useState<Request | null>(null);
  const [known, setKnown] = useState<Right[]>([]);
  const [outcome, setOutcome] = useState<string | null>(null);
  const task = useTask(refresh, reason);
  useTitle("Sign in a device");

  const look = (code: string) =>
    task.run(async () => {
      keepCode(code);
      const found = await api.get<Request>(`/api/auth/device?user_code=${dashed(code)}`);
      if (found.status !== "pending") throw new Error(`This code was ${found.status} already. The device can ask for another.`);
      if (found.client_id === undefined) {
        throw new Error("Somebody else is deciding about this device, or your account may not let devices in.");
      }
      // Names of rights will do where the words for them do not come.
      if (rights(found.scope ?? "") !== null) setKnown(await fetchAbout().then((told) => told.rights, () => []));
      setRequest(found);
    });
  useEffect(() => {
    const code = codeOfAddress();
    if (code.length === LETTERS) void look(code);
  }, []);

  const decide = (approve: boolean) =>
    task.run(async () => {
      if (request === null) return;
      await api.post(`/api/auth/device/${approve ? "approve" : "deny"}`, { userCode: request.user_code });
      keepCode(null);
      setOutcome(approve ? "Approved. Go back to the device: it signs in by itself in a few seconds." : "Denied. The device stays out.");
    });
  const another = () => {
    keepCode(null);
    task.setProblem(null);
    setOutcome(null);
    setRequest(null);
  };

  return (
    <main class="narrow">
      <h1>Sign in a device</h1>
      {outcome !== null ? (
        <Outcome text={outcome} another={another} />
      ) : request === null ? (
        <AskCode busy={task.busy} problem={task.problem} look={(code) => void look(code)} />
      ) : (
        <Decide request={request} known={known} busy={task.busy} problem={task.problem} decide={(approve) => void decide(approve)} another={another} />
      )}
    </main>
  );
}

function AskCode({ busy, problem, look }: { busy: boolean; problem: string | null; look: (code: string) => void }): JSX.Element {
  const input = useRef<HTMLInputElement>(null);
  const [short, setShort] = useState<string | null>(null);
  useEffect(() => {
    if (input.current !== null) input.current.value = dashed(codeOfAddress());
    input.current?.focus();
  }, []);
  const tidy = (event: Event) => {
    const box = event.currentTarget as HTMLInputElement;
    const before = letters(box.value.slice(0, box.selectionStart ?? box.value.length)).length;
    const atEnd = box.selectionStart === box.value.length;
    box.value = dashed(letters(box.value));
    const caret = atEnd ? box.value.length : before + (before > 4 ? 1 : 0);
    box.setSelectionRange(caret, caret);
  };
  const submit = (event: SubmitEvent) => {
    event.preventDefault();
    const code = letters(input.current?.value ?? "");
    setShort(code.length < LETTERS ? `The code has ${LETTERS} letters.` : null);
    if (code.length === LETTERS) look(code);
    else input.current?.focus();
  };
  return (
    <form onSubmit={submit}>
      <label>
        The code that the device shows
        <input
          ref={input}
          class="code"
          placeholder="XXXX-XXXX"
          autocomplete="one-time-code"
          autocapitalize="characters"
          spellcheck={false}
          onInput={tidy}
          required
        />
      </label>
      <Problem text={short ?? problem} />
      <button type="submit" disabled={busy}>
        {busy ? "Looking…" : "Continue"}
      </button>
    </form>
  );
}

interface DecideProps {
  request: Request;
  known: Right[];
  busy: boolean;
  problem: string | null;
  decide: (approve: boolean) => void;
  another: () => void;
}

function Decide({ request, known, busy, problem, decide, another }: DecideProps): JSX.Element {
  const left = useLeft(request.expires_at ?? "");
  const top = useRef<HTMLHeadingElement>(null);
  useEffect(() => top.current?.focus(), []);
  const asked = rights(request.scope ?? "");
  const granted = asked?.filter((right) => !lacks(right, known)) ?? null;
  const lacking = asked?.filter((right) => lacks(right, known)) ?? [];
  return (
    <>
      <h2 ref={top} tabIndex={-1}>
        Let <span class="name">{request.client_id}</span> in as you?
      </h2>
      <p class="warning">
        <strong>Only approve if you started this on a device of yours</strong>, and it shows this same code. Nobody else has
        a reason to send you one.
      </p>
      <dl class="facts">
        <dt>Code</dt>
        <dd class="code">{request.user_code}</dd>
        <dt>It may do</dt>
        <dd>
          {granted === null ? (
            "everything that you may do here"
          ) : granted.length === 0 ? (
            "nothing: you have none of the rights that it asks for"
          ) : (
            <ul>
              {granted.map((right) => (
                <li key={right}>
                  {inWords(right, known) !== right && `${inWords(right, known)} `}
                  <code>{right}</code>
                </li>
              ))}
            </ul>
          )}
          {lacking.length > 0 && <p class="hint">It also asks for {lacking.join(", ")}, which you may not do yourself.</p>}
        </dd>
        <dt>Asked from</dt>
        <dd>{request.address}</dd>
        <dt>By</dt>
        <dd title={request.user_agent ?? ""}>{program(request.user_agent ?? "")}</dd>
        <dt>Asked</dt>
        <dd>
          <time title={full(request.created_at ?? "")}>{ago(request.created_at ?? "")}</time>
        </dd>
        <dt>Expires</dt>
        <dd>
          <span role="timer">{left > 0 ? `in ${Math.floor(left / 60)}:${String(left % 60).padStart(2, "0")}` : "now"}</span>
        </dd>
      </dl>
      <Problem text={left > 0 ? problem : "This code has expired. The device can ask for another."} />
      <div class="choice">
        <button type="button" disabled={busy || left <= 0} onClick={() => decide(true)}>
          Approve
        </button>
        <button type="button" class="quiet" disabled={busy || left <= 0} onClick={() => decide(false)}>
          Deny
        </button>
      </div>
      <p>
        <button type="button" class="link" onClick={another}>
          Type in another code
        </button>
      </p>
    </>
  );
}

function Outcome({ text, another }: { text: string; another: () => void }): JSX.Element {
  const said = useRef<HTMLParagraphElement>(null);
  useEffect(() => said.current?.focus(), []);
  return (
    <>
      <p ref={said} class="notice" role="status" tabIndex={-1}>
        {text}
      </p>
      <p class="hint">
        Devices that are signed in are listed on <a href={ACCOUNT}>your account page</a>, where you can end them.
      </p>
      <p>
        <button type="button" class="link" onClick={another}>
          Type in another code
        </button>
      </p>
    </>
  );
}

/** Seconds until then, counted down. */
function useLeft(until: string): number {
  const count = () => Math.max(0, Math.ceil((Date.parse(until) - api.now()) / 1000));
  const [left, setLeft] = useState(count);
  useEffect(() => {
    const timer = window.setInterval(() => setLeft(count()), 1000);
    return () => clearInterval(timer);
  }, [until]);
  return left;
}

function reason(error: unknown): string {
  if (!(error instanceof api.ApiError)) return words(error);
  if (error.status === 429) return `Too many codes were wrong. ${error.message.replace("Too many attempts. ", "")}`;
  if (error.code === "expired_token") return "This code has expired. The device can ask for another.";
  if (error.code === "access_denied") return error.message;
  if (error.code === "invalid_request" && error.message.includes("processed")) {
    return "This code was approved or denied already. The device can ask for another.";
  }
  if (error.code === "invalid_request") return "No device waits with this code. Compare it letter by letter with what the device shows.";
  return error.message;
}

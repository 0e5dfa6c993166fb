// For whoever looks after the server: plugins and parts that are not well, and the first steps of a new one.
import type { JSX } from "preact";
import { useState } from "preact/hooks";
import type { PageProps } from "../app";
import * as api from "../api";
import { type Health, health } from "../admin/health";
import { type All, list, pageOf, runs, STATES, unwell } from "../admin/pluginstates";
import { type Page, USERS } from "../admin/people";
import { ADMIN, MAY, may } from "../places";
import { usePolled } from "../polled";

const EVERY = 30_000;
const DISMISSED = "moorage.first-steps";

interface Found {
  all: All;
  components: NonNullable<Health["components"]>;
  /** Null: not to be known. */
  users: number | null;
}

async function load(state: api.State, steps: boolean): Promise<Found> {
  const counts = steps && may(state, MAY.readUsers);
  const [all, well, users] = await Promise.all([
    list(),
    may(state, MAY.readHealth) ? health() : null,
    counts ? api.get<Page>(`${USERS}?limit=1`) : null,
  ]);
  return { all, components: well?.components ?? {}, users: users === null ? null : users.total };
}

export default function Care({ state, refresh }: PageProps): JSX.Element | null {
  const [steps, setSteps] = useState(() => may(state, MAY.managePlugins) && !dismissed());
  const { found } = usePolled(() => load(state, steps), EVERY, refresh);
  if (found === null) return null;
  return (
    <>
      <Ill {...found} />
      {steps && (
        <Steps
          state={state}
          {...found}
          dismiss={() => {
            dismiss();
            setSteps(false);
          }}
        />
      )}
    </>
  );
}

function Ill({ all, components }: Found): JSX.Element | null {
  const plugins = all.plugins.filter(unwell);
  const names = new Set(all.plugins.map(({ name }) => name));
  const parts = Object.entries(components).filter(([name, { status }]) => status !== "ok" && !names.has(name));
  if (plugins.length + parts.length + all.needs_restart.length === 0) return null;
  return (
    <section class="care ill" aria-labelledby="ill">
      <h2 id="ill">Needs care</h2>
      <ul>
        {plugins.map(({ name, state, reason }) => (
          <li key={name}>
            The plugin <a href={pageOf(name)}>{name}</a> – {STATES[state].toLowerCase()}
            {reason ? `: ${reason}` : "."}
          </li>
        ))}
        {parts.map(([name, { status, detail }]) => (
          <li key={name}>
            <a href={ADMIN.overview}>{name}</a> – {status}
            {detail === undefined ? "." : `: ${detail}`}
          </li>
        ))}
        {all.needs_restart.length > 0 && <li>Changed settings wait for a restart of the server: {all.needs_restart.join(", ")}.</li>}
      </ul>
    </section>
  );
}

type StepsProps = Found & { state: api.State; dismiss: () => void };

/** Until a plugin runs and somebody else has an account, or until they are put away. */
function Steps({ state, all, users, dismiss: away }: StepsProps): JSX.Element | null {
  const running = all.plugins.some(runs);
  const alone = users === 1;
  if (running && !alone) return null;
  return (
    <section class="care" aria-labelledby="steps">
      <div class="heading">
        <h2 id="steps">First steps</h2>
        <button type="button" class="quiet" onClick={away}>
          Put away<span class="unseen"> the first steps</span>
        </button>
      </div>
      <ol>
        <li class={running ? "done" : undefined}>
          <a href={ADMIN.plugins}>Switch on</a> what people shall use: {choice(all)}.{running && " Done; the page says what each of them still needs."}
        </li>
        {may(state, MAY.manageInvites) && (
          <li class={alone ? undefined : "done"}>
            <a href={ADMIN.invites}>Invite</a> somebody by a link, or <a href={ADMIN.users}>add a user</a>.{!alone && " Done."}
          </li>
        )}
        {may(state, MAY.manageUsers) && (
          <li>
            See what each <a href={ADMIN.roles}>role</a> may do.
          </li>
        )}
      </ol>
    </section>
  );
}

const choice = ({ plugins }: All): string =>
  new Intl.ListFormat("en", { type: "disjunction" }).format(plugins.map(({ name }) => name)) || "a plugin, once one is installed";

function dismissed(): boolean {
  try {
    return localStorage.getItem(DISMISSED) !== null;
  } catch {
    return false;
  }
}

function dismiss(): void {
  try {
    localStorage.setItem(DISMISSED, "1");
  } catch {
    // It is put away until the page is opened again.
  }
}

// Who is on: a section of the overview.
import type { JSX } from "preact";
import * as api from "../api";
import { ADMIN } from "../places";
import { usePolled } from "../polled";
import { Trouble } from "../shell/trouble";
import { ago, full } from "../time";
import { type Login, type Logins, LOGINS } from "./sessions";

const EVERY = 10_000;
/** Who asked for something within so many milliseconds is on, too. */
const RECENT = 5 * 60_000;

interface Person {
  name: string;
  role: string;
  seen: string;
  holds: Map<string, number>;
}

const load = async (): Promise<Login[]> => (await api.get<Logins>(`${LOGINS}?limit=200`)).sessions;

export function PresentPart({ refresh }: { refresh: () => Promise<void> }): JSX.Element {
  const { found, problem, again } = usePolled(load, EVERY, refresh);
  const people = present(found ?? []);
  return (
    <section aria-labelledby="present">
      <h2 id="present">Who is on</h2>
      {problem !== null && <Trouble text={problem} retry={again} />}
      {found === null ? (
        problem === null && <p class="loading">Loading…</p>
      ) : (
        <>
          <ul class="rows">
            {people.map(({ name, role, seen, holds }) => (
              <li class="item" key={name}>
                <div>
                  <a href={`${ADMIN.sessions}?${new URLSearchParams({ user: name })}`}>{name}</a> <span class="mark">{role}</span>
                  <p>
                    {holds.size > 0 ? `Connected to ${named(holds)}, last` : "Last"} request <time title={full(seen)}>{ago(seen)}</time>
                  </p>
                </div>
              </li>
            ))}
          </ul>
          <p>
            <a href={ADMIN.sessions}>See all logins</a>
          </p>
        </>
      )}
    </section>
  );
}

/** Each person once, whatever they are signed in with; the last seen first. */
function present(logins: Login[]): Person[] {
  const people = new Map<string, Person>();
  for (const { user, role, last_seen_at: seen, connections } of logins) {
    const holds = Object.entries(connections);
    if (holds.length === 0 && api.now() - Date.parse(seen) > RECENT) continue;
    const person = people.get(user) ?? { name: user, role, seen, holds: new Map<string, number>() };
    people.set(user, person);
    if (seen > person.seen) person.seen = seen;
    for (const [plugin, count] of holds) person.holds.set(plugin, (person.holds.get(plugin) ?? 0) + count);
  }
  return [...people.values()];
}

const named = (holds: Map<string, number>): string =>
  new Intl.ListFormat("en").format([...holds].map(([plugin, count]) => (count === 1 ? plugin : `${plugin} (${count} times)`)));

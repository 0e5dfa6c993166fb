// The first page: what one has going, what runs first, and where one can begin.
import type { JSX } from "preact";
import { useRef } from "preact/hooks";
import { type PageProps, Trouble } from "../app";
import { byKind, type Entry, inside, kindTitle, missingText, overview } from "../entries";
import { useTitle } from "../forms";
import { useListKeys } from "../listkeys";
import { ADMIN, HOME, mainPlaces, MAY, may, type Place } from "../places";
import { usePolled } from "../polled";
import { ago, full } from "../time";
import "../list.css";
import "./home.css";

const EVERY = 10_000;
/** Of each kind; the place itself shows the rest. */
const SHOWN = 6;

export default function Home({ state, refresh }: PageProps): JSX.Element {
  useTitle("Home");
  const places = mainPlaces(state).filter(({ address }) => address !== HOME);
  const { found, problem, again } = usePolled(overview, EVERY, refresh);
  const list = useRef<HTMLDivElement>(null);
  useListKeys(list, {});
  const placeOf = (plugin: string): Place | undefined => places.find((place) => place.plugin === plugin);
  const groups = byKind(found?.entries ?? []);
  const busy = new Set(found?.entries.map(({ plugin }) => plugin));
  const missing = missingText(found?.missing ?? [], (plugin) => placeOf(plugin)?.title ?? plugin);
  const rest = places.filter(({ plugin }) => plugin === undefined || !busy.has(plugin));
  return (
    <main class="home" ref={list}>
      <h1>Home</h1>
      {problem !== null && <Trouble text={problem} retry={again} />}
      {missing !== null && <Trouble text={missing} retry={again} />}
      {found === null && problem === null && <p class="loading">Loading…</p>}
      {groups.map(([kind, entries]) => (
        <Group key={kind} kind={kind} entries={entries} place={placeOf(entries[0]?.plugin ?? "")} />
      ))}
      {places.length === 0 ? (
        <Nothing mayManage={may(state, MAY.managePlugins)} />
      ) : (
        found !== null &&
        rest.length > 0 && (
          <section aria-labelledby="begin">
            <h2 id="begin">{groups.length === 0 ? "Nothing of yours is going on. Begin here" : "Also here"}</h2>
            <ul class="cards">
              {rest.map(({ address, title, about }) => (
                <li key={address}>
                  <a class="card" href={address}>
                    <strong>{title}</strong>
                    <span>{about}</span>
                  </a>
                </li>
              ))}
            </ul>
          </section>
        )
      )}
    </main>
  );
}

function Group({ kind, entries, place }: { kind: string; entries: Entry[]; place: Place | undefined }): JSX.Element {
  const id = `kind-${kind.replaceAll(/\W/g, "-")}`;
  return (
    <section aria-labelledby={id}>
      <div class="heading">
        <h2 id={id}>{kindTitle(kind)}</h2>
        {place !== undefined && (
          <a href={place.address}>
            All<span class="unseen"> of {place.title}</span>
          </a>
        )}
      </div>
      <ul class="cards">
        {entries.slice(0, SHOWN).map((entry) => (
          <li key={entry.href}>
            <a class="card" href={inside(entry.href)}>
              <strong>{entry.title}</strong>
              {entry.detail !== "" && <span>{entry.detail}</span>}
              {entry.live ? <span class="now">Runs now</span> : <Used at={entry.updated_at} />}
            </a>
          </li>
        ))}
      </ul>
    </section>
  );
}

function Used({ at }: { at: string | null }): JSX.Element | null {
  if (at === null) return null;
  return (
    <span>
      Last used <time title={full(at)}>{ago(at)}</time>
    </span>
  );
}

function Nothing({ mayManage }: { mayManage: boolean }): JSX.Element {
  if (mayManage) {
    return (
      <p class="empty">
        Nothing runs on this server yet. Switch a plugin on under <a href={ADMIN.plugins}>Plugins</a>.
      </p>
    );
  }
  return <p class="empty">Nothing that you may use runs on this server. Whoever runs it can give you a role that may.</p>;
}

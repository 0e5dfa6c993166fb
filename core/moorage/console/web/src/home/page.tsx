// The first page: what needs care, what one has going, what runs first, and where one can begin.
import type { JSX } from "preact";
import { lazy, Suspense } from "preact/compat";
import { useRef } from "preact/hooks";
import type { PageProps } from "../app";
import { type Entry, inside, kindTitle, missingText, overview } from "../entries";
import { useTitle } from "../forms";
import { useListKeys } from "../listkeys";
import { HOME, mainPlaces, MAY, may, type Place } from "../places";
import { usePolled } from "../polled";
import { Trouble } from "../shell/trouble";
import { ago, full } from "../time";
import "../list.css";
import "./home.css";

/** Fetched for those alone who look after the server. */
const Care = lazy(() => import("./care"));

const EVERY = 10_000;
/** Of each place, which itself shows the rest. */
const SHOWN = 5;

export default function Home({ state, refresh }: PageProps): JSX.Element {
  useTitle("Home");
  const places = mainPlaces(state).filter(({ address }) => address !== HOME);
  const { found, problem, again } = usePolled(overview, EVERY, refresh);
  const list = useRef<HTMLDivElement>(null);
  useListKeys(list, {});
  const titleOf = (plugin: string): string => places.find((place) => place.plugin === plugin)?.title ?? plugin;
  const missing = missingText(found?.missing ?? [], titleOf);
  const parts = arranged(places, found?.entries ?? []);
  const [busy, idle] = [parts.filter(({ entries }) => entries.length > 0), parts.filter(({ entries }) => entries.length === 0)];
  const running = (found?.entries ?? []).filter(({ live }) => live).length;
  const cares = may(state, MAY.readPlugins);
  return (
    <main class="home" ref={list}>
      <h1>Home</h1>
      {problem !== null && <Trouble text={problem} retry={again} />}
      {missing !== null && <Trouble text={missing} retry={again} />}
      {cares && (
        <Suspense fallback={null}>
          <Care state={state} refresh={refresh} />
        </Suspense>
      )}
      {found === null && problem === null && <p class="loading">Loading…</p>}
      {places.length === 0 && !cares && (
        <p class="empty">Nothing that you may use runs on this server. Whoever runs it can give you a role that may.</p>
      )}
      {found !== null && places.length > 0 && <p class="sum">{summary(running, busy.length > 0)}</p>}
      <div class="parts">
        {busy.map((part) => (
          <Part key={part.address} {...part} />
        ))}
      </div>
      {found !== null && idle.length > 0 && (
        <>
          {busy.length > 0 && <h2>Also here</h2>}
          <div class="parts">
            {idle.map((part) => (
              <Part key={part.address} {...part} />
            ))}
          </div>
        </>
      )}
    </main>
  );
}

function summary(running: number, busy: boolean): string {
  if (!busy) return "Nothing of yours is going on yet. Begin here:";
  if (running === 0) return "Nothing runs now. This is what you used last.";
  return running === 1 ? "One thing runs now." : `${running} things run now.`;
}

interface Portion {
  /** Of the place; some other text where there is none. */
  address: string;
  title: string;
  place: Place | null;
  entries: Entry[];
}

/** The places, each with what is in it: where something runs first, then in their order; then what has no place. */
function arranged(places: Place[], entries: Entry[]): Portion[] {
  const taken = new Set<string>();
  const parts: Portion[] = places.map((place) => {
    const first = place.plugin !== undefined && !taken.has(place.plugin);
    if (first) taken.add(place.plugin as string);
    return { address: place.address, title: place.title, place, entries: first ? entries.filter(({ plugin }) => plugin === place.plugin) : [] };
  });
  const kinds = new Set(entries.filter(({ plugin }) => !taken.has(plugin)).map(({ plugin, kind }) => `${plugin} ${kind}`));
  for (const key of kinds) {
    const own = entries.filter(({ plugin, kind }) => `${plugin} ${kind}` === key);
    parts.push({ address: key, title: kindTitle(own[0]?.kind ?? key), place: null, entries: own });
  }
  const rank = (part: Portion): number => Number(part.entries.some(({ live }) => live));
  return parts.sort((one, other) => rank(other) - rank(one));
}

function Part({ title, place, entries }: Portion): JSX.Element {
  const id = `part-${title.replaceAll(/\W/g, "-")}`;
  const kinds = new Set(entries.map(({ kind }) => kind));
  return (
    <section class="part" aria-labelledby={id}>
      <div class="heading">
        <h2 id={id}>{place === null ? title : <a href={place.address}>{title}</a>}</h2>
        {place?.begin !== undefined && (
          <a class="button quiet" href={place.begin.address}>
            {place.begin.title}
          </a>
        )}
      </div>
      {(entries.length === 0 || place?.plugin === "chat") && place !== null && <p class="hint">{place.about}</p>}
      {entries.length > 0 && (
        <ul class="going">
          {entries.slice(0, SHOWN).map((entry, index) => (
            <li key={`${index} ${entry.href}`}>
              <a class="card" href={inside(entry.href)}>
                <strong>{entry.title}</strong>
                {entry.live ? <span class="now">Runs now</span> : <Used at={entry.updated_at} />}
                {(entry.detail !== "" || kinds.size > 1) && (
                  <span class="detail">{[kinds.size > 1 ? entry.kind : "", entry.detail].filter(Boolean).join(", ")}</span>
                )}
              </a>
            </li>
          ))}
        </ul>
      )}
      {entries.length > SHOWN && place !== null && (
        <a class="rest" href={place.address}>
          All<span class="unseen"> of {title}</span>
        </a>
      )}
    </section>
  );
}

function Used({ at }: { at: string | null }): JSX.Element | null {
  if (at === null) return null;
  return (
    <span>
      <time dateTime={at} title={full(at)}>
        {ago(at)}
      </time>
    </span>
  );
}

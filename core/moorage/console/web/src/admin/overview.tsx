// How this server is: the first page of administration.
import type { JSX } from "preact";
import type { PageProps } from "../app";
import { useTitle } from "../forms";
import { ADMIN, adminPlaces, MAY, may } from "../places";
import { FiguresPart } from "./figures";
import { PresentPart } from "./present";
import { HealthPart, PluginsPart } from "./wellness";
import "./overview.css";

export default function OverviewPage({ state, refresh }: PageProps): JSX.Element {
  useTitle("Administration");
  const places = adminPlaces(state).filter(({ address }) => address !== ADMIN.overview);
  return (
    <main class="overview">
      <h1>Administration</h1>
      <div class="parts">
        <HealthPart state={state} refresh={refresh} />
        <PluginsPart state={state} refresh={refresh} />
        {may(state, MAY.readSessions) && <PresentPart refresh={refresh} />}
        {may(state, MAY.readMetrics) && <FiguresPart refresh={refresh} />}
      </div>
      <ul class="cards" aria-label="Pages of administration">
        {places.map(({ address, title, about }) => (
          <li key={address}>
            <a class="card" href={address}>
              <strong>{title}</strong>
              <span>{about}</span>
            </a>
          </li>
        ))}
      </ul>
    </main>
  );
}

// How this server is: the first page of administration.
import type { JSX } from "preact";
import type { PageProps } from "../app";
import { useTitle } from "../forms";
import { adminPlaces } from "../places";

export default function OverviewPage({ state }: PageProps): JSX.Element {
  useTitle("Administration");
  return (
    <main>
      <h1>Administration</h1>
      <ul class="cards">
        {adminPlaces(state).map(({ address, title, about }) => (
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

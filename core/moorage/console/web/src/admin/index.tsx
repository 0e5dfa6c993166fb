// Administration: which of its pages an address names. Each is fetched when it is opened.
import type { ComponentType, JSX } from "preact";
import { lazy } from "preact/compat";
import type { PageProps } from "../app";
import { ADMIN, adminPlaces, HOME, placeAt } from "../places";
import { after } from "../router";
import { Nothing } from "../shell/nothing";

type AdminPage = ComponentType<PageProps>;
type OneOf = ComponentType<PageProps & { id: string }>;

/** Whoever may see them or not. */
const ALL = Object.values(ADMIN).map((address) => ({ address, title: "", about: "" }));

/** A page for each address below. */
const PAGES: Record<string, AdminPage> = {
  [ADMIN.overview]: lazy(() => import("./overview")),
  [ADMIN.users]: lazy(() => import("./users")),
  [ADMIN.roles]: lazy(() => import("./roles")),
  [ADMIN.invites]: lazy(() => import("./invites")),
  [ADMIN.sessions]: lazy(() => import("./sessions")),
  [ADMIN.running]: lazy(() => import("./running")),
  [ADMIN.plugins]: lazy(() => import("./plugins")),
  [ADMIN.metrics]: lazy(() => import("./metrics")),
  [ADMIN.audit]: lazy(() => import("./audit")),
};

/** What is below an address is about one: `id` is the rest of the path. */
const ONES: Record<string, OneOf> = {
  [ADMIN.users]: lazy(() => import("./user")),
  [ADMIN.plugins]: lazy(() => import("./plugin")),
};

export default function Administration({ path, ...props }: PageProps & { path: string }): JSX.Element {
  // Each page's data is refused by the server as well; this says it in one sentence.
  if (placeAt(path, ALL)?.address !== placeAt(path, adminPlaces(props.state))?.address) {
    return (
      <Nothing title="Not for you">
        Your role, {props.state.user.role}, may not see this page. An administrator can give you another role.{" "}
        <a href={HOME}>Go to the start</a>.
      </Nothing>
    );
  }
  const Page = PAGES[path];
  if (Page !== undefined) return <Page {...props} />;
  for (const [address, One] of Object.entries(ONES)) {
    const id = after(`${address}/`, path);
    if (id !== null) return <One key={id} id={id} {...props} />;
  }
  return (
    <Nothing>
      Administration has no page at this address. <a href={ADMIN.overview}>See what it has</a>.
    </Nothing>
  );
}

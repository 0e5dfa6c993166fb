// What each role may do and why, what two roles differ in, and whether somebody may do something.
import type { JSX } from "preact";
import { useState } from "preact/hooks";
import type { PageProps } from "../app";
import { useTitle } from "../forms";
import { ADMIN } from "../places";
import { usePolled } from "../polled";
import { go, useQuery } from "../router";
import { Trouble } from "../shell/trouble";
import { ANY, byPlugin } from "../words";
import { MayThey } from "./maythey";
import { Name } from "./name";
import { Part } from "./part";
import type { Permission } from "./pluginstates";
import { type All, type Detail, list, reach, reachText, read, type Role } from "./roledata";
import { Table } from "./table";
import "../home/home.css";
import "./system.css";

/** The page with these in its address; what is null is taken out. */
function addressOf(query: URLSearchParams, more: Record<string, string | null>): string {
  const next = new URLSearchParams(query);
  for (const [key, value] of Object.entries(more)) {
    if (value === null || value === "") next.delete(key);
    else next.set(key, value);
  }
  return next.size === 0 ? ADMIN.roles : `${ADMIN.roles}?${next}`;
}

/** Milliseconds: roles change when somebody changes the configuration. */
const ASK_EVERY = 30_000;

export default function RolesPage({ state, refresh }: PageProps): JSX.Element {
  useTitle("Roles");
  const query = useQuery();
  const { found, problem, again } = usePolled(list, ASK_EVERY, refresh);
  const name = query.get("role") ?? state.user.role;
  const other = query.get("with");
  const role = found?.roles.find((one) => one.name === name) ?? null;
  const second = found?.roles.find((one) => one.name === other && one.name !== name) ?? null;
  return (
    <main class="system">
      <div class="heading">
        <h1>Roles</h1>
      </div>
      <p class="hint">Everybody has one role. It says what they may do; a program that is let in may do less than that, never more.</p>
      {problem !== null && <Trouble text={problem} retry={again} />}
      {found === null ? (
        problem === null && <p class="loading">Loading…</p>
      ) : (
        <>
          <List all={found} shown={role} query={query} />
          {role === null ? (
            <p class="warning">There is no role {name}. Choose one of those above.</p>
          ) : second === null ? (
            <One key={role.name} role={role} all={found} query={query} refresh={refresh} />
          ) : (
            <Two one={role} other={second} all={found} query={query} />
          )}
          <MayThey permissions={found.permissions} />
        </>
      )}
    </main>
  );
}

function List({ all, shown, query }: { all: All; shown: Role | null; query: URLSearchParams }): JSX.Element {
  const rows = all.roles.map((role) => ({
    key: role.name,
    cells: [
      <a href={addressOf(query, { role: role.name, with: null })} aria-current={role === shown ? "true" : undefined}>
        {role.name}
      </a>,
      role.builtin ? "built in" : "of the configuration",
      role.includes === null ? "" : `all of ${role.includes}`,
      `${new Set(role.permissions.map((one) => one.replace(/:any$/, ""))).size} of ${all.permissions.length}`,
    ],
  }));
  return (
    <Part title="All roles">
      <Table label="Roles" columns={["Role", "Kind", "Holds", "Permissions"]} rows={rows} figures={[3]} />
      <p class="hint">
        More are made in the configuration file, in sections <code>[access.roles.NAME]</code>.
      </p>
    </Part>
  );
}

interface OneProps {
  role: Role;
  all: All;
  query: URLSearchParams;
  refresh: () => Promise<void>;
}

function One({ role, all, query, refresh }: OneProps): JSX.Element {
  const { found, problem, again } = usePolled(() => read(role.name), ASK_EVERY, refresh);
  const [why, setWhy] = useState(false);
  const everything = query.get("all") === "yes";
  const held = all.permissions.filter((one) => reach(role, one) !== "none");
  return (
    <Part title={`What ${role.name} may do`}>
      <Patterns role={role} />
      {problem !== null && <Trouble text={problem} retry={again} />}
      <div class="filters">
        <Compare role={role} other={null} all={all} query={query} />
        <label class="tick">
          <input type="checkbox" checked={why} onChange={(event) => setWhy(event.currentTarget.checked)} />
          Say why
        </label>
        <a href={addressOf(query, { all: everything ? null : "yes" })}>{everything ? "Show only what it may" : "Show what it may not, too"}</a>
      </div>
      {held.length === 0 && !everything && <p class="empty">It holds nothing at all.</p>}
      {byPlugin(everything ? all.permissions : held).map(([plugin, permissions]) => (
        <Group key={plugin} plugin={plugin} wide={why}>
          <Table
            label={`Permissions of ${plugin}`}
            columns={["What", "Permission", "May", ...(why ? ["Why"] : [])]}
            rows={permissions.map((one) => ({
              key: one.name,
              cells: [one.summary, <Name text={one.name} />, reachText(reach(role, one), one), ...(why ? [<Why detail={found} permission={one} />] : [])],
            }))}
          />
        </Group>
      ))}
    </Part>
  );
}

/** wide: the last column holds sentences. */
const Group = ({ plugin, wide = false, children }: { plugin: string; wide?: boolean; children: JSX.Element }): JSX.Element => (
  <div class="group">
    <h3>{plugin === "core" ? "The server itself" : plugin}</h3>
    <div class={wide ? "wide" : undefined}>{children}</div>
  </div>
);

/** What the configuration says of the role. */
function Patterns({ role }: { role: Role }): JSX.Element | null {
  if (role.grants.length === 0 && role.denies.length === 0) return null;
  const shown = (patterns: string[]) => <code>{patterns.join(", ")}</code>;
  return (
    <dl class="facts">
      {role.grants.length > 0 && [<dt key="g">Granted besides</dt>, <dd key="G">{shown(role.grants)}</dd>]}
      {role.denies.length > 0 && [<dt key="d">Denied</dt>, <dd key="D">{shown(role.denies)}</dd>]}
    </dl>
  );
}

function Why({ detail, permission }: { detail: Detail | null; permission: Permission }): JSX.Element {
  if (detail === null) return <span class="hint">…</span>;
  const of = (name: string): string[] => {
    const reasons = detail.held.find((one) => one.name === name)?.reasons ?? [];
    // The first of several names the role and what it includes: that stands above.
    return reasons.length > 1 ? reasons.slice(1) : reasons;
  };
  const lines = [...of(permission.name), ...of(permission.name + ANY).map((line) => `for everybody's things: ${line}`)];
  if (lines.length === 0) return <span class="hint">nothing grants it</span>;
  return (
    <ul class="reasons">
      {[...new Set(lines)].map((line) => (
        <li key={line}>{line}</li>
      ))}
    </ul>
  );
}

interface CompareProps {
  role: Role;
  other: Role | null;
  all: All;
  query: URLSearchParams;
}

function Compare({ role, other, all, query }: CompareProps): JSX.Element {
  return (
    <label>
      Compare with
      <select value={other?.name ?? ""} onChange={(event) => go(addressOf(query, { role: role.name, with: event.currentTarget.value }))}>
        <option value="">no other role</option>
        {all.roles
          .filter(({ name }) => name !== role.name)
          .map(({ name }) => (
            <option key={name} value={name}>
              {name}
            </option>
          ))}
      </select>
    </label>
  );
}

function Two({ one, other, all, query }: { one: Role; other: Role; all: All; query: URLSearchParams }): JSX.Element {
  const differing = all.permissions.filter((permission) => reach(one, permission) !== reach(other, permission));
  return (
    <Part title={`${one.name} and ${other.name}`}>
      <div class="filters">
        <Compare role={one} other={other} all={all} query={query} />
        <a href={addressOf(query, { role: other.name, with: one.name })}>The other way round</a>
      </div>
      <p role="status">{differing.length === 0 ? "They may do the same." : `They differ in ${differing.length} of ${all.permissions.length} permissions.`}</p>
      {byPlugin(differing).map(([plugin, permissions]) => (
        <Group key={plugin} plugin={plugin}>
          <Table
            label={`Differences in ${plugin}`}
            columns={["What", "Permission", one.name, other.name]}
            rows={permissions.map((permission) => ({
              key: permission.name,
              cells: [
                permission.summary,
                <Name text={permission.name} />,
                reachText(reach(one, permission), permission),
                reachText(reach(other, permission), permission),
              ],
            }))}
          />
        </Group>
      ))}
    </Part>
  );
}

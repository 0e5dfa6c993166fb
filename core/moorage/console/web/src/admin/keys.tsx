// The keys of a user, by which programs act for them.
import type { JSX } from "preact";
import { useRef, useState } from "preact/hooks";
import * as api from "../api";
import type { Key } from "../account/keys";
import { Trouble } from "../shell/trouble";
import { Ask } from "./ask";
import { At, type Column, Table, useFetched } from "./lists";
import type { Row } from "./people";

interface KeysProps {
  user: Row;
  mayRevoke: boolean;
  refresh: () => Promise<void>;
}

export function Keys({ user, mayRevoke, refresh }: KeysProps): JSX.Element {
  // A user has no more keys than a page holds.
  const path = `/api/v1/api-keys?per_page=100&user_id=${user.number}`;
  const { found, problem, again } = useFetched<{ data: { api_keys: Key[] } }>(path, refresh);
  const [asking, setAsking] = useState<Key | null>(null);
  const heading = useRef<HTMLHeadingElement>(null);
  const revoke = async (key: Key) => {
    await api.remove(`/api/v1/api-keys/${key.id}`);
    setAsking(null);
    await again();
    heading.current?.focus();
  };
  const columns: Column<Key>[] = [
    {
      title: "Key",
      kind: "name",
      cell: (key) => (
        <>
          {key.name} <code>{key.prefix}…</code>
        </>
      ),
    },
    { title: "May", cell: ({ scopes }) => scopes?.join(", ") ?? "all that they may" },
    { title: "Last used", cell: ({ last_used_at }) => <At time={last_used_at} /> },
    { title: "Made", cell: ({ created_at }) => <At time={created_at} /> },
    { title: "Ends", cell: ({ expires_at }) => <At time={expires_at} never="when revoked" /> },
    {
      title: "What can be done",
      kind: "actions",
      cell: (key) =>
        mayRevoke ? (
          <button type="button" class="quiet" aria-haspopup="dialog" onClick={() => setAsking(key)}>
            Revoke<span class="unseen"> the key {key.name}</span>
          </button>
        ) : null,
    },
  ];
  const keys = found?.data.api_keys;
  return (
    <section class="part" aria-labelledby="keys">
      <h2 id="keys" ref={heading} tabIndex={-1}>
        Keys for programs
      </h2>
      {problem !== null && <Trouble text={problem} retry={again} />}
      {keys === undefined ? (
        problem === null && <p class="loading">Loading…</p>
      ) : keys.length === 0 ? (
        <p class="empty">None.</p>
      ) : (
        <Table label="Keys" columns={columns} rows={keys} keyOf={({ id }) => id} />
      )}
      {asking !== null && (
        <Ask
          title={`Revoke the key “${asking.name}”?`}
          yes="Revoke it"
          refresh={refresh}
          onClose={() => setAsking(null)}
          act={() => revoke(asking)}
        >
          <p>Programs of {user.username} that use it are refused at once. This cannot be undone.</p>
        </Ask>
      )}
    </section>
  );
}

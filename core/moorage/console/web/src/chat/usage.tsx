// What one has used of models: today, against one's limits, and by day and model.
import type { JSX } from "preact";
import { useEffect, useState } from "preact/hooks";
import * as api from "../api";
import { useTitle, words } from "../forms";
import { Trouble } from "../shell/trouble";
import { full } from "../time";
import { utc } from "./chats";
import type { ChatProps } from "./page";
import { LIST } from "./place";

interface Used {
  messages: number;
  prompt_tokens: number;
  completion_tokens: number;
  total_tokens: number;
}

interface Report {
  today: Used;
  limits: { messages_per_day: number | null; tokens_per_day: number | null };
  resets_at: string;
  days: (Used & { day: string; models: (Used & { provider_id: string; model: string })[] })[];
}

const DAYS = 30;
const number = (value: number): string => value.toLocaleString();

export default function Usage({ mount }: ChatProps): JSX.Element {
  useTitle("Usage of models");
  const [found, setFound] = useState<Report | null>(null);
  const [problem, setProblem] = useState<string | null>(null);
  const ask = async () => {
    try {
      setFound(await api.get<Report>(`${mount}/chat/usage?days=${DAYS}`));
      setProblem(null);
    } catch (error) {
      setProblem(words(error));
    }
  };
  useEffect(() => void ask(), [mount]);
  return (
    <section class="talk" aria-label="Usage">
      <div class="bar">
        <a class="back" href={LIST} aria-label="Conversations">
          ‹
        </a>
        <h1>Usage</h1>
      </div>
      <div class="log usage" tabIndex={0} role="group" aria-label="Usage">
        {problem !== null && <Trouble text={problem} retry={ask} />}
        {found === null ? problem === null && <p class="loading">Loading…</p> : <Shown report={found} />}
      </div>
    </section>
  );
}

function Shown({ report }: { report: Report }): JSX.Element {
  const { today, limits, days } = report;
  const used = days.filter(({ messages, total_tokens }) => messages > 0 || total_tokens > 0).reverse();
  return (
    <>
      <h2>Today</h2>
      <Meter name="Answers" used={today.messages} limit={limits.messages_per_day} />
      <Meter name="Tokens" used={today.total_tokens} limit={limits.tokens_per_day} />
      <p class="hint">A day ends at midnight UTC, here {full(utc(report.resets_at))}.</p>
      <h2>The last {DAYS} days</h2>
      {used.length === 0 ? (
        <p class="empty">Nothing was used.</p>
      ) : (
        <div class="wide figures" tabIndex={0} role="group" aria-label="Usage by day">
          <table>
            <thead>
              <tr>
                <th>Day</th>
                <th>Model</th>
                <th class="right">Answers</th>
                <th class="right">Tokens asked</th>
                <th class="right">Tokens answered</th>
              </tr>
            </thead>
            <tbody>
              {used.flatMap(({ day, models }) =>
                models.map((one, index) => (
                  <tr key={`${day} ${one.provider_id} ${one.model}`}>
                    <td>{index === 0 && day}</td>
                    <td title={one.provider_id}>{one.model}</td>
                    <td class="right">{number(one.messages)}</td>
                    <td class="right">{number(one.prompt_tokens)}</td>
                    <td class="right">{number(one.completion_tokens)}</td>
                  </tr>
                )),
              )}
            </tbody>
          </table>
        </div>
      )}
    </>
  );
}

function Meter({ name, used, limit }: { name: string; used: number; limit: number | null }): JSX.Element {
  return (
    <p class="used">
      <span>
        {name}: {number(used)}
        {limit !== null && ` of ${number(limit)}`}
      </span>
      {limit !== null && limit > 0 && <meter min={0} max={limit} high={limit * 0.9} value={Math.min(used, limit)} aria-label={`${name} of the day's limit`} />}
    </p>
  );
}

/** A process of store-meeting.test.ts: meets the others, says what it has heard, and ends at its first start as it is told. */
import { launchOf, storeOf } from "../../src/distributed/launch.ts";
import { RankEnded } from "../../src/distributed/meeting.ts";
import { StoreMeeting } from "../../src/distributed/store-meeting.ts";

const [, , ending] = process.argv;
const { rank, size } = launchOf()!;
const { address, job } = storeOf(process.env);
const start = process.env.TORCHELASTIC_RESTART_COUNT ?? "0";
const meeting = new StoreMeeting(address, { job, rank, size });
try {
  process.stdout.write(`${rank}: ${meeting.exchange(`start ${start} of ${rank}`).join(", ")}\n`);
  if (rank === 1 && start === "0" && ending !== undefined) {
    meeting.abort(Number(ending));
    process.exit(Number(ending));
  }
  process.stdout.write(`${rank}: ${meeting.exchange(new Map([["rank", rank]])).map((one) => one.get("rank"))}\n`);
  meeting.leave();
} catch (error) {
  process.exit(error instanceof RankEnded ? error.exitCode : 99);
}

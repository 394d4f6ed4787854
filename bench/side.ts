/**
 * One side of the benchmark: peer.py or ours.ts as a child process, told to take one step at a time. The protocol (JSON
 * lines) is described in peer.py. Everything that a child says is checked here.
 */
import { type ChildProcessWithoutNullStreams, spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { z } from "zod";
import { fault } from "../src/errors.ts";

export const stages = ["classifier", "pretrain", "finetune", "finetune2stream", "eval"] as const;
export type Stage = (typeof stages)[number];

/** The models that are measured: 32 × 32 and 112 × 112 images. */
export const benchModels = ["R32_C10", "R34_fMoW"] as const;
export type BenchModel = (typeof benchModels)[number];

/** What is timed: a step on the one batch, or an epoch of some batches with each side's own loader. */
export const units = ["step", "epoch"] as const;
export type Unit = (typeof units)[number];
export const stepsAnEpoch = 10;
/** Before each epoch, untimed: a side has rested for as long as the others' epochs took, and its pages may be gone. */
export const stepsAfterRest = 3;

/** What is measured: steps (or epochs) of a stage, at most `steps` of them, after `warmup` others. */
export interface Work {
  stage: Stage;
  model: BenchModel;
  batch: number;
  steps: number;
  warmup: number;
  threads: number;
  device: "cpu" | "cuda";
  unit: Unit;
}

const readySchema = z.object({
  precision: z.enum(["fp32", "bf16"]),
  threads: z.int(),
  torch: z.string(),
  compileSeconds: z.number().optional(),
});
const stepSchema = z
  .object({
    seconds: z.number().positive(),
    stepsSeconds: z.number().positive().optional(),
    reduceSeconds: z.number().optional(),
    loss: z.number().optional(),
    reward: z.number().optional(),
  })
  .refine(({ loss, reward }) => loss !== undefined || reward !== undefined, "must have a loss or a reward");
const doneSchema = z.object({ peakRssBytes: z.number().positive() });

/** How a side computes, as it says itself. */
export type Ready = z.infer<typeof readySchema>;

export interface Step {
  seconds: number;
  /** Of an epoch of this program: how long the same number of steps on one batch took, right after it. */
  stepsSeconds: number | undefined;
  /** Of this program's ranks: how much of it the last one spent adding up the gradients of all. */
  reduceSeconds: number | undefined;
  /** The loss; of eval the mean reward. */
  value: number;
}

const stderrKept = 2000;

export class Side {
  readonly name: string;
  readonly #child: ChildProcessWithoutNullStreams;
  readonly #lines: AsyncIterator<string>;
  readonly #closed: Promise<string>;
  #stderr = "";

  private constructor(name: string, command: readonly string[], env: Record<string, string>) {
    this.name = name;
    this.#child = spawn(command[0], command.slice(1), { env: { ...process.env, ...env } });
    this.#lines = createInterface({ input: this.#child.stdout })[Symbol.asyncIterator]();
    this.#child.stderr.on("data", (text: Buffer) => {
      this.#stderr = (this.#stderr + text.toString()).slice(-stderrKept);
    });
    // A child that is gone is noticed by the missing answer.
    this.#child.stdin.on("error", () => undefined);
    this.#closed = new Promise((resolve) => {
      this.#child.once("error", ({ message }) => resolve(message));
      this.#child.once("close", (code, signal) => resolve(`exit ${code ?? signal}: ${complaint(this.#stderr)}`));
    });
  }

  /**
   * Starts a side and waits until it has warmed up.
   * @param command the program and its own arguments; the work's are appended
   * @param env variables of its environment besides this process's
   * @throws kind "system" when the child ends, or says what the protocol does not know
   */
  static async start(
    name: string,
    command: readonly string[],
    work: Work,
    env: Record<string, string> = {},
  ): Promise<{ side: Side; ready: Ready }> {
    const flags = Object.entries(work).flatMap(([flag, value]) => [`--${flag}`, String(value)]);
    const side = new Side(name, [...command, ...flags], env);
    try {
      const ready = await side.#read(readySchema);
      if (ready.threads !== work.threads) {
        throw fault("system", { where: name, rule: `must use ${work.threads} threads`, got: ready.threads });
      }
      return { side, ready };
    } catch (error) {
      side.stop();
      throw error;
    }
  }

  /** One timed step, or epoch. */
  async step(): Promise<Step> {
    this.#child.stdin.write("step\n");
    const { seconds, stepsSeconds, reduceSeconds, loss, reward } = await this.#read(stepSchema);
    return { seconds, stepsSeconds, reduceSeconds, value: (loss ?? reward)! };
  }

  /** Ends the side after its steps. Returns the most memory that its process ever had resident, in bytes. */
  async finish(): Promise<number> {
    this.#child.stdin.end();
    const { peakRssBytes } = await this.#read(doneSchema);
    await this.#closed;
    return peakRssBytes;
  }

  /** Ends the child if it still runs. */
  stop(): void {
    this.#child.kill();
  }

  async #read<T>(schema: z.ZodType<T>): Promise<T> {
    const { value: line, done } = await this.#lines.next();
    if (done === true) {
      throw fault("system", { where: this.name, rule: "must take all its steps", got: await this.#closed });
    }
    const parsed = schema.safeParse(fromJson(line));
    if (!parsed.success)
      throw fault("system", { where: this.name, rule: "must answer as peer.py describes", got: line });
    return parsed.data;
  }
}

/** Undefined for what is no JSON (Python's NaN is none): no schema takes it. */
function fromJson(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch {
    return undefined;
  }
}

/** What a failed child says it was: this program's first error, or the end of Python's traceback. */
function complaint(stderr: string): string {
  return (
    stderr
      .split("\n")
      .find((line) => line.startsWith("error: "))
      ?.slice("error: ".length) ?? lastLine(stderr)
  );
}

export function lastLine(text: string): string {
  return text.trimEnd().split("\n").at(-1) ?? "";
}

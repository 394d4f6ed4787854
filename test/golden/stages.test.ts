/** The stages' golden steps on the CPU. */
import { goldenStages } from "./stage-steps.ts";

goldenStages("cpu");

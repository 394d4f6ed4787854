import { describe, expect, it } from "vitest";
import { efficientNetLite0 } from "../../src/models/efficientnet-lite.ts";
import { declare } from "../../src/nn/declare.ts";
import { elementCount } from "../../src/tensor/tensor.ts";

describe("EfficientNet-Lite0", () => {
  const { entries, multiplyAdds, outputs } = declare(efficientNetLite0(1000), 224);

  // Counted in PyTorch, in the network that its weights came with.
  it("has as many parameters and multiply-adds as in PyTorch", () => {
    const learned = entries.filter(({ role }) => !role.startsWith("running"));
    expect(learned.reduce((sum, { shape }) => sum + elementCount(shape), 0)).toBe(4_652_008);
    expect(multiplyAdds).toBe(385_187_552);
    expect(declare(efficientNetLite0(1000), 112).multiplyAdds).toBe(106_891_088);
    expect(outputs).toBe(1000);
  });

  it("counts the inputs and outputs of a depthwise convolution by channel", () => {
    const depthwise = entries.find(({ name }) => name === "_blocks.3._depthwise_conv.weight");
    expect(depthwise).toMatchObject({ shape: [144, 1, 5, 5], fanIn: 25, fanOut: 25 });
    const expand = entries.find(({ name }) => name === "_blocks.3._expand_conv.weight");
    expect(expand).toMatchObject({ shape: [144, 24, 1, 1], fanIn: 24, fanOut: 144 });
  });
});

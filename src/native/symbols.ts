/**
 * The C functions of libtorch that are called: their types and prototypes. Ownership and encoding are described in
 * `call.ts`; those for a GPU are in `cuda-symbols.ts`.
 *
 * Source: torch/csrc/stable/c/shim.h and torch/csrc/inductor/aoti_torch/c/shim.h, shipped in every PyTorch wheel.
 */

/** The address of a tensor object that libtorch made and we own. */
export type Handle = bigint;

/** The functions that are called, as TypeScript sees them. Those that can fail return non-zero. */
export interface Symbols {
  aoti_torch_new_tensor_handle(handle: Handle, out: BigUint64Array): number;
  aoti_torch_delete_tensor_object(handle: Handle): number;
  aoti_torch_get_dim(handle: Handle, out: BigInt64Array): number;
  aoti_torch_get_size(handle: Handle, dim: number, out: BigInt64Array): number;
  aoti_torch_get_dtype(handle: Handle, out: Int32Array): number;
  aoti_torch_get_device_type(handle: Handle, out: Int32Array): number;
  aoti_torch_get_device_index(handle: Handle, out: Int32Array): number;
  aoti_torch_is_contiguous(handle: Handle, out: Uint8Array): number;
  aoti_torch_get_data_ptr(handle: Handle, out: BigUint64Array): number;
  aoti_torch_empty_strided(
    ndim: number,
    sizes: BigInt64Array,
    strides: BigInt64Array,
    dtype: number,
    deviceType: number,
    deviceIndex: number,
    out: BigUint64Array,
  ): number;
  aoti_torch_zero_(handle: Handle): number;
  aoti_torch_copy_(self: Handle, source: Handle, nonBlocking: number): number;
  aoti_torch_item_float32(handle: Handle, out: Float32Array): number;
  aoti_torch_grad_mode_is_enabled(): boolean;
  aoti_torch_grad_mode_set_enabled(enabled: boolean): void;
  aoti_torch_aten_subtract_Tensor(self: Handle, other: Handle, alpha: number, out: BigUint64Array): number;
  aoti_torch_aten_fill__Scalar(self: Handle, value: number): number;
  aoti_torch_aten_pad(
    self: Handle,
    pad: BigInt64Array,
    length: number,
    mode: Uint8Array,
    value: Float64Array,
    out: BigUint64Array,
  ): number;
  torch_set_requires_grad(handle: Handle, value: boolean): number;
  torch_call_dispatcher(name: Uint8Array, overload: Uint8Array, stack: BigUint64Array, version: bigint): number;
  torch_new_list_reserve_size(size: number, out: BigUint64Array): number;
  torch_list_push_back(list: bigint, element: bigint): number;
  torch_list_size(list: bigint, out: BigUint64Array): number;
  torch_list_get_item(list: bigint, index: number, out: BigUint64Array): number;
  torch_delete_list(list: bigint): number;
  torch_new_string_handle(data: Uint8Array, length: number, out: BigUint64Array): number;
  torch_get_num_threads(out: Int32Array): number;
  aoti_torch_dtype_float32(): number;
  aoti_torch_dtype_bfloat16(): number;
  aoti_torch_dtype_int64(): number;
  aoti_torch_dtype_int32(): number;
  aoti_torch_dtype_uint8(): number;
  aoti_torch_dtype_bool(): number;
  aoti_torch_device_type_cpu(): number;
  aoti_torch_device_type_cuda(): number;
  aoti_torch_abi_version(): number | bigint;
}

/** C prototypes. A tensor handle travels as a 64-bit integer, so that no pointer object is made on each call. */
export const prototypes: { [Name in keyof Symbols]: string } = {
  aoti_torch_new_tensor_handle: "int32_t f(uint64_t, void *)",
  aoti_torch_delete_tensor_object: "int32_t f(uint64_t)",
  aoti_torch_get_dim: "int32_t f(uint64_t, void *)",
  aoti_torch_get_size: "int32_t f(uint64_t, int64_t, void *)",
  aoti_torch_get_dtype: "int32_t f(uint64_t, void *)",
  aoti_torch_get_device_type: "int32_t f(uint64_t, void *)",
  aoti_torch_get_device_index: "int32_t f(uint64_t, void *)",
  aoti_torch_is_contiguous: "int32_t f(uint64_t, void *)",
  aoti_torch_get_data_ptr: "int32_t f(uint64_t, void *)",
  aoti_torch_empty_strided: "int32_t f(int64_t, void *, void *, int32_t, int32_t, int32_t, void *)",
  aoti_torch_zero_: "int32_t f(uint64_t)",
  aoti_torch_copy_: "int32_t f(uint64_t, uint64_t, int32_t)",
  aoti_torch_item_float32: "int32_t f(uint64_t, void *)",
  aoti_torch_grad_mode_is_enabled: "bool f()",
  aoti_torch_grad_mode_set_enabled: "void f(bool)",
  aoti_torch_aten_subtract_Tensor: "int32_t f(uint64_t, uint64_t, double, void *)",
  aoti_torch_aten_fill__Scalar: "int32_t f(uint64_t, double)",
  aoti_torch_aten_pad: "int32_t f(uint64_t, void *, int64_t, void *, void *, void *)",
  torch_set_requires_grad: "int32_t f(uint64_t, bool)",
  torch_call_dispatcher: "int32_t f(void *, void *, void *, uint64_t)",
  torch_new_list_reserve_size: "int32_t f(size_t, void *)",
  torch_list_push_back: "int32_t f(uint64_t, uint64_t)",
  torch_list_size: "int32_t f(uint64_t, void *)",
  torch_list_get_item: "int32_t f(uint64_t, size_t, void *)",
  torch_delete_list: "int32_t f(uint64_t)",
  torch_new_string_handle: "int32_t f(void *, size_t, void *)",
  torch_get_num_threads: "int32_t f(void *)",
  aoti_torch_dtype_float32: "int32_t f()",
  aoti_torch_dtype_bfloat16: "int32_t f()",
  aoti_torch_dtype_int64: "int32_t f()",
  aoti_torch_dtype_int32: "int32_t f()",
  aoti_torch_dtype_uint8: "int32_t f()",
  aoti_torch_dtype_bool: "int32_t f()",
  aoti_torch_device_type_cpu: "int32_t f()",
  aoti_torch_device_type_cuda: "int32_t f()",
  aoti_torch_abi_version: "uint64_t f()",
};

/** What libtorch must export, for `patchdrop doctor`. */
export const requiredSymbols: readonly string[] = Object.keys(prototypes);

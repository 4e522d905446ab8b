//! How wasmtime is set up: interruption, stacks, and the pool that instances come from. Never decides a node's limits.

use wasmtime::{Config, Enabled, Engine, InstanceAllocationStrategy, PoolingAllocationConfig, WasmBacktraceDetails};

/// Core instances of one component. Python has 14; one linked of many libraries has more.
pub(super) const CORE_INSTANCES: u32 = 32;
/// Memories of one component. QuickJS has two.
pub(super) const MEMORIES: u32 = 4;
/// Tables of one component. Every toolchain has two.
pub(super) const TABLES: u32 = 16;
/// Elements of one table. Go's has 8 200.
pub(super) const TABLE_ELEMENTS: usize = 50_000;
/// Bytes of the engine's own state for one instance. Python takes 404 kB.
pub(super) const INSTANCE_SIZE: usize = 1 << 20;
/// A 32-bit memory cannot be larger. Costs address space alone: the limiter decides what a node may use.
pub(super) const MEMORY_SIZE: usize = 4 << 30;
/// Stack that guest frames may use: deep recursion ends here, as a trap.
const WASM_STACK: usize = 1 << 20;
/// The whole stack of a suspended guest; host functions run on what is left.
const FIBER_STACK: usize = 2 << 20;
/// Dirty bytes of a memory, and of a table, that are put back to what they were rather than given back to the system:
/// that halves what a fresh instance costs (22 to 11 µs, its 99th percentile 58 to 15). At most a hundred unused
/// places keep so much.
const KEEP_MEMORY: usize = 512 << 10;
const KEEP_TABLE: usize = 64 << 10;
/// Stacks beyond one an instance: of instances on their way in or out.
const SPARE_STACKS: u32 = 64;

/// The engine for at most `instances` instances at a time.
pub(super) fn engine(instances: u32) -> wasmtime::Result<Engine> {
    let mut config = Config::new();
    config
        // On, it doubles what a message costs (1.41 instead of 0.65 µs), and the contract has no async functions.
        .concurrency_support(false)
        .epoch_interruption(true)
        .wasm_backtrace_details(WasmBacktraceDetails::Enable)
        .max_wasm_stack(WASM_STACK)
        .async_stack_size(FIBER_STACK)
        .allocation_strategy(InstanceAllocationStrategy::Pooling(pool(instances)));
    Engine::new(&config)
}

fn pool(instances: u32) -> PoolingAllocationConfig {
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(instances)
        .total_core_instances(instances.saturating_mul(CORE_INSTANCES))
        // Most have one memory and two tables.
        .total_memories(instances.saturating_mul(2))
        .total_tables(instances.saturating_mul(4))
        .total_stacks(instances.saturating_add(SPARE_STACKS))
        .max_core_instances_per_component(CORE_INSTANCES)
        .max_memories_per_component(MEMORIES)
        .max_memories_per_module(MEMORIES)
        .max_tables_per_component(TABLES)
        .max_tables_per_module(TABLES)
        .table_elements(TABLE_ELEMENTS)
        .max_component_instance_size(INSTANCE_SIZE)
        .max_core_instance_size(INSTANCE_SIZE)
        .max_memory_size(MEMORY_SIZE);
    // Without the kernel's help (6.7) all of it would be written, dirty or not.
    if PoolingAllocationConfig::is_pagemap_scan_available() {
        pool.pagemap_scan(Enabled::Auto).linear_memory_keep_resident(KEEP_MEMORY).table_keep_resident(KEEP_TABLE);
    }
    pool
}

//! Lets the host allocate in a Go node without entering Go: the functions that it calls for each text and list of a message
//! take room from the block that Go has named, and ask Go when that is full. Never changes any other function.
//!
//! Each call into Go switches to a goroutine and back, which costs as much as the rest of a small message; and it is made
//! for each argument. The block is two numbers in memory, next and end, at an address that Go exports (`abi/alloc.go`).

use std::collections::BTreeMap;

use anyhow::Context as _;
use wasm_encoder::reencode::{Error, Reencode, utils};
use wasm_encoder::{BlockType, CodeSection, ConstExpr, ExportSection, Function, FunctionSection, GlobalSection};
use wasm_encoder::{GlobalType, InstructionSink, MemArg, Module, ValType};
use wasmparser::{ExternalKind, FunctionBody, Parser, Payload, TypeRef};

/// Exported by Go: where the block is.
const ARENA: &str = "krt_arena";
/// Exported by Go, and what the host calls.
const ALLOCATORS: [&str; 2] = ["cabi_import_realloc", "cabi_export_realloc"];

/// `module` with allocators that enter Go only for another block. As it is when it names no block: with an SDK of the
/// author's own.
///
/// # Errors
/// It is not what Go makes of the SDK.
pub(super) fn quick(module: &[u8]) -> anyhow::Result<Vec<u8>> {
    let Some(mut made) = Quick::of(module).context("reading what Go made")? else { return Ok(module.to_vec()) };
    let mut quick = Module::new();
    made.parse_core_module(&mut quick, Parser::new(0), module).context("giving it allocators")?;
    Ok(quick.finish())
}

/// What is in the module, as far as it is added to.
struct Quick {
    /// Go's allocators, in the order of `ALLOCATORS`.
    slow: [u32; 2],
    /// Their type.
    realloc: u32,
    /// Go's function for the block's address.
    arena: u32,
    functions: u32,
    globals: u32,
}

impl Quick {
    fn of(module: &[u8]) -> anyhow::Result<Option<Self>> {
        let (mut functions, mut globals, mut imported) = (0, 0, 0);
        let mut types = Vec::new();
        let mut exports = BTreeMap::new();
        for payload in Parser::new(0).parse_all(module) {
            match payload? {
                Payload::ImportSection(section) => {
                    for import in section.into_imports() {
                        match import?.ty {
                            TypeRef::Func(_) => imported += 1,
                            TypeRef::Global(_) => globals += 1,
                            _ => {}
                        }
                    }
                }
                Payload::FunctionSection(section) => {
                    functions = section.count();
                    types = section.into_iter().collect::<Result<Vec<u32>, _>>()?;
                }
                Payload::GlobalSection(section) => globals += section.count(),
                Payload::ExportSection(section) => {
                    for export in section {
                        let export = export?;
                        if export.kind == ExternalKind::Func {
                            exports.insert(export.name, export.index);
                        }
                    }
                }
                _ => {}
            }
        }
        let Some(&arena) = exports.get(ARENA) else { return Ok(None) };
        let [import, export] = ALLOCATORS.map(|name| exports.get(name).copied().context(name));
        let slow = [import?, export?];
        let realloc = slow[0].checked_sub(imported).and_then(|index| types.get(index as usize).copied());
        let realloc = realloc.context("the type of an allocator")?;
        Ok(Some(Self { slow, realloc, arena, functions: imported + functions, globals }))
    }

    /// Takes the room, or calls `slow`.
    fn allocator(&self, slow: u32) -> Function {
        let [old, old_size, align, size, block, start] = [0, 1, 2, 3, 4, 5];
        let [next, end] = [0, 4].map(|offset| MemArg { offset, align: 2, memory_index: 0 });
        let mut function = Function::new([(2, ValType::I32)]);
        let mut code: InstructionSink<'_> = function.instructions();
        code.block(BlockType::Empty);
        // What grows is moved: Go's business.
        code.local_get(old_size).br_if(0);
        code.global_get(self.globals).local_tee(block).i32_eqz();
        code.if_(BlockType::Empty).call(self.arena).local_tee(block).global_set(self.globals).end();
        // start = (next + align - 1) & -align
        code.local_get(block).i32_load(next).local_get(align).i32_add().i32_const(1).i32_sub();
        code.i32_const(0).local_get(align).i32_sub().i32_and().local_tee(start);
        // Not in this block: start > end, or size > end - start.
        code.local_get(block).i32_load(end).i32_gt_u().br_if(0);
        code.local_get(size).local_get(block).i32_load(end).local_get(start).i32_sub().i32_gt_u().br_if(0);
        code.local_get(block).local_get(start).local_get(size).i32_add().i32_store(next);
        code.local_get(start).return_().end();
        code.local_get(old).local_get(old_size).local_get(align).local_get(size).call(slow).end();
        function
    }
}

impl Reencode for Quick {
    type Error = std::convert::Infallible;

    fn parse_function_section(
        &mut self,
        functions: &mut FunctionSection,
        section: wasmparser::FunctionSectionReader<'_>,
    ) -> Result<(), Error> {
        utils::parse_function_section(self, functions, section)?;
        functions.function(self.realloc).function(self.realloc);
        Ok(())
    }

    fn parse_global_section(
        &mut self,
        globals: &mut GlobalSection,
        section: wasmparser::GlobalSectionReader<'_>,
    ) -> Result<(), Error> {
        utils::parse_global_section(self, globals, section)?;
        let place = GlobalType { val_type: ValType::I32, mutable: true, shared: false };
        globals.global(place, &ConstExpr::i32_const(0));
        Ok(())
    }

    fn parse_export(&mut self, exports: &mut ExportSection, export: wasmparser::Export<'_>) -> Result<(), Error> {
        let index = match ALLOCATORS.iter().position(|name| *name == export.name) {
            Some(0) => self.functions,
            Some(_) => self.functions + 1,
            None if export.name == ARENA => return Ok(()),
            None => export.index,
        };
        exports.export(export.name, self.export_kind(export.kind)?, index);
        Ok(())
    }

    fn parse_code_section(
        &mut self,
        code: &mut CodeSection,
        section: wasmparser::CodeSectionReader<'_>,
    ) -> Result<(), Error> {
        utils::parse_code_section(self, code, section)?;
        for slow in self.slow {
            code.function(&self.allocator(slow));
        }
        Ok(())
    }

    /// What is there stays as it is, byte for byte: nothing before it was renumbered.
    fn parse_function_body(&mut self, code: &mut CodeSection, function: FunctionBody<'_>) -> Result<(), Error> {
        code.raw(function.as_bytes());
        Ok(())
    }
}

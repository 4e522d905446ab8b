//! From `.proto` files to C: structs, and the tables by which the SDK's `krt_pb.h` reads and writes them.
//!
//! A function from descriptors to texts. Never runs protoc, and needs no Python: there is no registry that every author
//! has which carries the C sources of nanopb or protobuf-c, and neither decodes into memory that is freed as a whole.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use krt::proto::Proto;
use prost_reflect::{EnumDescriptor, FieldDescriptor, FileDescriptor, Kind, MessageDescriptor};

/// Words that C, or the SDK's macros, want for themselves.
const RESERVED: &str = " alignas alignof auto bool break case char const constexpr continue default do double else enum \
    extern false float for goto if inline int long nullptr register restrict return short signed sizeof static \
    static_assert struct switch thread_local true typedef typeof typeof_unqual union unsigned void volatile while NULL ";

/// Files by their path below `messages/`, for all that these protos define and import.
///
/// # Errors
/// What of a proto C cannot have, for a person.
pub(super) fn generate(protos: &[Proto]) -> Result<BTreeMap<String, String>, String> {
    let mut files = BTreeMap::new();
    for proto in protos {
        for file in proto.pool.files() {
            let stem = stem(file.name());
            files.insert(format!("{stem}.pb.h"), header(&file)?);
            files.insert(format!("{stem}.pb.c"), tables(&file)?);
        }
    }
    Ok(files)
}

fn stem(path: &str) -> &str {
    path.strip_suffix(".proto").unwrap_or(path)
}

/// A full protobuf name as an identifier: `demo.Email.Part` is `demo_Email_Part`.
fn identifier(full_name: &str) -> String {
    safe(&full_name.replace('.', "_"))
}

fn safe(name: &str) -> String {
    if RESERVED.contains(&format!(" {name} ")) { format!("{name}_") } else { name.to_owned() }
}

/// All messages of a file, those within others after these.
fn messages(file: &FileDescriptor) -> Vec<MessageDescriptor> {
    fn add(message: MessageDescriptor, all: &mut Vec<MessageDescriptor>) {
        let children: Vec<_> = message.child_messages().collect();
        all.push(message);
        children.into_iter().for_each(|child| add(child, all));
    }
    let mut all = Vec::new();
    file.messages().for_each(|message| add(message, &mut all));
    all
}

fn header(file: &FileDescriptor) -> Result<String, String> {
    let messages = messages(file);
    let guard: String = stem(file.name())
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' })
        .collect();
    let mut text = format!(
        "/* Made by krt build from {}: changes are lost. */\n#ifndef KRT_MESSAGES_{guard}_PB_H\n\
         #define KRT_MESSAGES_{guard}_PB_H\n\n#include <krt_node.h>\n",
        file.name()
    );
    for import in file.dependencies() {
        let _ = writeln!(text, "#include \"{}.pb.h\"", stem(import.name()));
    }
    let enums = file.enums().chain(messages.iter().flat_map(|m| m.child_enums().collect::<Vec<_>>()));
    for one in enums {
        text.push_str(&enumeration(&one));
    }
    text.push('\n');
    for message in &messages {
        let name = identifier(message.full_name());
        let _ = writeln!(text, "typedef struct {name} {name};");
    }
    for message in &messages {
        text.push_str(&structure(message)?);
    }
    text.push_str("\n#endif\n");
    Ok(text)
}

fn enumeration(one: &EnumDescriptor) -> String {
    let name = identifier(one.full_name());
    let mut text = format!("\ntypedef enum {name} {{\n");
    for value in one.values() {
        // The smallest number has no literal of its own in C.
        let number = if value.number() == i32::MIN { "-2147483647 - 1".to_owned() } else { value.number().to_string() };
        let _ = writeln!(text, "    {name}_{} = {number},", value.name());
    }
    let _ = writeln!(text, "}} {name};");
    text
}

fn structure(message: &MessageDescriptor) -> Result<String, String> {
    let name = identifier(message.full_name());
    let mut text = format!("\n/** {} */\nstruct {name} {{\n", message.full_name());
    if message.fields().len() == 0 {
        // C has no empty structs.
        text.push_str("    char nothing;\n");
    }
    let mut oneofs: Vec<String> = Vec::new();
    for field in message.fields() {
        if field.is_group() {
            return Err(format!("{} is a group: make it a message", field.full_name()));
        }
        match oneof(&field) {
            None => text.push_str(&member(&field, "    ")),
            Some(oneof) if oneofs.contains(&oneof) => {}
            Some(oneof) => {
                let _ = writeln!(text, "    uint32_t {oneof}_case;\n    union {{");
                for field in message.fields().filter(|field| self::oneof(field).as_ref() == Some(&oneof)) {
                    text.push_str(&member(&field, "        "));
                }
                text.push_str("    };\n");
                oneofs.push(oneof);
            }
        }
    }
    text.push_str("};\n");
    for field in message.fields().filter(|field| oneof(field).is_some()) {
        let _ = writeln!(text, "#define {name}_{}_case {}", field.name(), field.number());
    }
    let _ = writeln!(text, "extern const krt_pb_type {name}_type;");
    let _ = writeln!(text, "typedef krt_result {name}_handler(krt_ctx *ctx, const {name} *message);");
    Ok(text)
}

/// The name of the oneof that a field is in, if the proto says so.
fn oneof(field: &FieldDescriptor) -> Option<String> {
    field.containing_oneof().filter(|oneof| !oneof.is_synthetic()).map(|oneof| safe(oneof.name()))
}

fn member(field: &FieldDescriptor, indent: &str) -> String {
    let (kind, name) = (field.kind(), safe(field.name()));
    let of = c_type(&kind);
    if is_repeated(field) {
        return format!("{indent}size_t n_{0};\n{indent}{of}{1}*{name};\n", field.name(), space(&of));
    }
    match kind {
        Kind::Message(_) => format!("{indent}{of} *{name};\n"),
        Kind::String => format!("{indent}{of}{name};\n"),
        _ if has_presence(field) => format!("{indent}bool has_{};\n{indent}{of} {name};\n", field.name()),
        _ => format!("{indent}{of} {name};\n"),
    }
}

fn is_repeated(field: &FieldDescriptor) -> bool {
    field.is_list() || field.is_map()
}

/// Whether the field's being there is told apart from its being zero, outside oneofs.
fn has_presence(field: &FieldDescriptor) -> bool {
    field.supports_presence() && oneof(field).is_none()
}

/// `const char *` brings its own star: `const char **texts`, but `int32_t *numbers`.
fn space(of: &str) -> &'static str {
    if of.ends_with('*') { "" } else { " " }
}

fn c_type(kind: &Kind) -> String {
    match kind {
        Kind::Double => "double",
        Kind::Float => "float",
        Kind::Int32 | Kind::Sint32 | Kind::Sfixed32 | Kind::Enum(_) => "int32_t",
        Kind::Int64 | Kind::Sint64 | Kind::Sfixed64 => "int64_t",
        Kind::Uint32 | Kind::Fixed32 => "uint32_t",
        Kind::Uint64 | Kind::Fixed64 => "uint64_t",
        Kind::Bool => "bool",
        Kind::String => "const char *",
        Kind::Bytes => "krt_bytes",
        Kind::Message(message) => return identifier(message.full_name()),
    }
    .to_owned()
}

fn c_kind(kind: &Kind) -> &'static str {
    match kind {
        Kind::Double => "DOUBLE",
        Kind::Float => "FLOAT",
        Kind::Int32 => "INT32",
        Kind::Int64 => "INT64",
        Kind::Uint32 => "UINT32",
        Kind::Uint64 => "UINT64",
        Kind::Sint32 => "SINT32",
        Kind::Sint64 => "SINT64",
        Kind::Fixed32 => "FIXED32",
        Kind::Fixed64 => "FIXED64",
        Kind::Sfixed32 => "SFIXED32",
        Kind::Sfixed64 => "SFIXED64",
        Kind::Bool => "BOOL",
        Kind::String => "STRING",
        Kind::Bytes => "BYTES",
        Kind::Message(_) => "MESSAGE",
        Kind::Enum(_) => "ENUM",
    }
}

fn tables(file: &FileDescriptor) -> Result<String, String> {
    let include = format!("{}.pb.h", stem(file.name()));
    let mut text = format!("/* Made by krt build from {}: changes are lost. */\n#include \"{include}\"\n", file.name());
    for message in messages(file) {
        text.push_str(&table(&message)?);
    }
    Ok(text)
}

fn table(message: &MessageDescriptor) -> Result<String, String> {
    let name = identifier(message.full_name());
    let mut fields: Vec<_> = message.fields().collect();
    fields.sort_by_key(FieldDescriptor::number);
    let mut text = String::from("\n");
    if !fields.is_empty() {
        let _ = writeln!(text, "static const krt_pb_field {name}_fields[] = {{");
        for field in &fields {
            let (rule, presence) = rule(field, &name);
            let kind = field.kind();
            let of = match &kind {
                Kind::Message(inner) => format!("&{}_type", identifier(inner.full_name())),
                _ => "NULL".to_owned(),
            };
            let _ = writeln!(
                text,
                "    {{{}, KRT_PB_{}, KRT_PB_{rule}, offsetof({name}, {}), {presence}, {of}, \"{}\"}},",
                field.number(),
                c_kind(&kind),
                safe(field.name()),
                field.name()
            );
        }
        text.push_str("};\n\n");
    }
    let list = if fields.is_empty() { "NULL".to_owned() } else { format!("{name}_fields") };
    let full_name = message.full_name();
    let _ = write!(
        text,
        "static int {name}_call(krt_function *handler, krt_ctx *ctx, const void *message) {{\n    \
         return (int)((krt_result(*)(krt_ctx *, const {name} *))handler)(ctx, message);\n}}\n\n\
         const krt_pb_type {name}_type = {{\n    \"{full_name}\", \"type.googleapis.com/{full_name}\", sizeof({name}), {}, \
         {list}, {name}_call,\n}};\n",
        fields.len()
    );
    Ok(text)
}

/// How the table says that a field is there, and where.
fn rule(field: &FieldDescriptor, message: &str) -> (&'static str, String) {
    let at = |member: &str| format!("offsetof({message}, {member})");
    if is_repeated(field) {
        let rule = if field.is_packed() { "PACKED" } else { "REPEATED" };
        return (rule, at(&format!("n_{}", field.name())));
    }
    if let Some(oneof) = oneof(field) {
        return ("ONEOF", at(&format!("{oneof}_case")));
    }
    match field.kind() {
        _ if !has_presence(field) => ("IMPLICIT", "0".to_owned()),
        Kind::String | Kind::Message(_) => ("OPTIONAL", "0".to_owned()),
        _ => ("OPTIONAL", at(&format!("has_{}", field.name()))),
    }
}

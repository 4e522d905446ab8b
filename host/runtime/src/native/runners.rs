//! Which command stands for which image: `IMAGE=COMMAND`. Pure.

use std::path::Path;
use std::str::FromStr;

/// What stands for one image on this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Runner {
    image: String,
    words: Vec<String>,
}

/// What stands for which image.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Runners(pub Vec<Runner>);

impl Runners {
    /// The runner for `image`: one given for exactly this image before one given without a tag.
    pub fn of(&self, image: &str) -> Option<&Runner> {
        let exact = self.0.iter().find(|runner| runner.image == image);
        exact.or_else(|| self.0.iter().find(|runner| runner.image == without_tag(image)))
    }
}

impl Runner {
    /// The program and its arguments for a node. What is put in is never split nor expanded.
    pub fn command(&self, src: &Path, node: &str) -> Vec<String> {
        let src = src.to_string_lossy();
        // A node's name cannot hold braces, and what `src` holds is not looked at again.
        let fill = |word: &String| word.split("{src}").map(|part| part.replace("{name}", node)).collect::<Vec<_>>();
        self.words.iter().map(|word| fill(word).join(&src)).collect()
    }
}

impl FromStr for Runner {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let Some((image, command)) = text.split_once('=') else {
            return Err("expected IMAGE=COMMAND".to_owned());
        };
        let image = image.trim();
        if image.is_empty() || image.contains(char::is_whitespace) {
            return Err("expected the name of an image before the =".to_owned());
        }
        let Some(words) = shlex::split(command) else {
            return Err("the command ends within quotes, or after a \\".to_owned());
        };
        if words.first().is_none_or(String::is_empty) {
            return Err("expected a command after the =".to_owned());
        }
        Ok(Self { image: image.to_owned(), words })
    }
}

/// The name of an image without its tag and digest. A colon before the last `/` is a port's.
pub(super) fn without_tag(image: &str) -> &str {
    let name = image.split_once('@').map_or(image, |(name, _)| name);
    let last = name.rfind('/').map_or(0, |slash| slash + 1);
    match name[last..].find(':') {
        Some(colon) => &name[..last + colon],
        None => name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn runners(all: &[&str]) -> Runners {
        Runners(all.iter().map(|text| text.parse().unwrap()).collect())
    }

    #[test]
    fn an_image_is_found_with_its_tag_or_without() {
        let runners = runners(&["konstellation/kre-py=python3 main.py", "konstellation/kre-py:4=python4", "h:5/go=go"]);
        let program = |image: &str| runners.of(image).map(|runner| runner.words[0].as_str());
        assert_eq!(program("konstellation/kre-py"), Some("python3"));
        assert_eq!(program("konstellation/kre-py:latest"), Some("python3"));
        assert_eq!(program("konstellation/kre-py@sha256:00"), Some("python3"));
        assert_eq!(program("konstellation/kre-py:4"), Some("python4"));
        assert_eq!(program("h:5/go:1@sha256:00"), Some("go"));
        assert_eq!(program("konstellation/kre-python"), None);
        assert_eq!(program("kre-py"), None);
    }

    #[test]
    fn a_command_is_split_as_a_shell_does_before_anything_is_put_in() {
        let runner: Runner = "i=env 'A=b c' {src} --node={name} \"{src}/x\"".parse().unwrap();
        let command = runner.command(Path::new("/a b/{name}.py"), "etl");
        assert_eq!(command, ["env", "A=b c", "/a b/{name}.py", "--node=etl", "/a b/{name}.py/x"]);
    }

    #[test]
    fn what_is_no_mapping_is_told() {
        for (text, word) in
            [("image", "IMAGE=COMMAND"), ("=x", "name of an image"), ("i=", "a command"), ("i='x", "quotes")]
        {
            let error = text.parse::<Runner>().unwrap_err();
            assert!(error.contains(word), "{text}: {error}");
        }
    }
}

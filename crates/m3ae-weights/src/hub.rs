//! Finding a model: a local path, or a repository of the Hugging Face hub.

use std::env;
use std::path::{Path, PathBuf};

use hf_hub::Cache;

use crate::error::WeightsError;
use crate::locate::{WEIGHT_FILES, locate};

/// Files that are downloaded in addition to the weights.
#[cfg(feature = "hub")]
const SMALL_FILES: [&str; 3] = ["config.json", "tokenizer.json", "answers.json"];

/// Finds a model by a local path or by its name `owner/name` on the Hugging Face hub.
///
/// A local file or folder comes first; the folder of a training run stands for its subfolder `model`. Then the Hugging
/// Face cache is searched (`$HF_HUB_CACHE`, `$HF_HOME/hub` or `~/.cache/huggingface/hub`). With the crate's feature
/// `hub`, the model is then downloaded into that cache. The result is a file or folder for [`crate::Checkpoint::open`],
/// [`crate::open_folder`] or [`crate::info()`].
///
/// # Errors
/// There is no such model, and the message says which files to put where. Or the folder is that of a training run that
/// has no model yet, and the message names its newest checkpoint.
pub fn resolve(path_or_id: &str) -> Result<PathBuf, WeightsError> {
    let path = Path::new(path_or_id);
    if path.exists() {
        return locate(path);
    }
    if !is_id(path_or_id) {
        let problem =
            "there is no such file or folder, and it is not the name of a hub repository (`owner/name`)".into();
        return Err(WeightsError::Hub { id: path_or_id.into(), problem });
    }
    let cache = cache_folder();
    if let Some(folder) = cache.as_deref().and_then(|cache| cached(cache, path_or_id)) {
        return Ok(folder);
    }
    let failed = match download(path_or_id, cache.as_deref()) {
        Ok(folder) => return Ok(folder),
        Err(problem) => problem,
    };
    Err(WeightsError::Hub { id: path_or_id.into(), problem: format!("{failed}. {}", advice(path_or_id)) })
}

fn advice(id: &str) -> String {
    let [first, second] = WEIGHT_FILES;
    format!(
        "Without a connection, get https://huggingface.co/{id} elsewhere and put config.json, {first} (or {second}) and \
        tokenizer.json into the folder {id}, or name the folder they are in"
    )
}

/// `owner/name` as the hub spells it.
fn is_id(text: &str) -> bool {
    let part = |part: &str| {
        !part.is_empty()
            && !part.starts_with('.')
            && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
    };
    text.split_once('/').is_some_and(|(owner, name)| part(owner) && part(name))
}

/// The cache's folder. `hf_hub` itself does not read `HF_HUB_CACHE`, which the Python library does.
fn cache_folder() -> Option<PathBuf> {
    let set = |name: &str| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    set("HF_HUB_CACHE")
        .or_else(|| set("HF_HOME").map(|home| home.join("hub")))
        .or_else(|| Some(env::home_dir()?.join(".cache").join("huggingface").join("hub")))
}

/// The snapshot of a repository's main branch in the cache, if it has weights.
fn cached(cache: &Path, id: &str) -> Option<PathBuf> {
    let repository = Cache::new(cache.to_owned()).model(id.to_owned());
    let weights = WEIGHT_FILES.iter().find_map(|name| repository.get(name))?;
    weights.parent().map(Path::to_owned)
}

#[cfg(not(feature = "hub"))]
fn download(_id: &str, _cache: Option<&Path>) -> Result<PathBuf, String> {
    Err("it is not in the Hugging Face cache, and this program was built without the feature `hub`".into())
}

/// Fetches configuration, tokenizer, answers and weights into the cache.
#[cfg(feature = "hub")]
fn download(id: &str, cache: Option<&Path>) -> Result<PathBuf, String> {
    use hf_hub::api::sync::ApiBuilder;

    let mut builder = ApiBuilder::from_env().with_progress(false);
    if let Some(cache) = cache {
        builder = builder.with_cache_dir(cache.to_owned());
    }
    let api = builder.build().map_err(|error| error.to_string())?;
    let repository = api.model(id.to_owned());
    let listed = repository.info().map_err(|error| format!("the hub did not answer: {error}"))?;
    let has = |name: &str| listed.siblings.iter().any(|file| file.rfilename == name);
    let weights = WEIGHT_FILES.into_iter().find(|name| has(name));
    let weights = weights.ok_or_else(|| format!("the repository has none of {}", WEIGHT_FILES.join(", ")))?;
    let get = |name: &str| repository.get(name).map_err(|error| format!("{name}: {error}"));
    for name in SMALL_FILES.into_iter().filter(|name| has(name)) {
        get(name)?;
    }
    let weights = get(weights)?;
    weights.parent().map(Path::to_owned).ok_or_else(|| "the cache has no folder for it".to_owned())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn local_paths_come_before_the_hub() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(resolve(folder.path().to_str().unwrap()).unwrap(), folder.path());
    }

    #[test]
    fn what_is_neither_path_nor_repository_says_so() {
        for text in ["no-such-file.ckpt", "/no/such/file", "a/b/c", "../x/y", "owner/"] {
            let error = resolve(text).unwrap_err().to_string();
            assert!(error.contains("no such file or folder"), "{text}: {error}");
        }
    }

    #[test]
    fn a_cached_repository_is_found_without_a_connection() {
        let cache = tempfile::tempdir().unwrap();
        let repository = cache.path().join("models--owner--model");
        let snapshot = repository.join("snapshots").join("abc123");
        fs::create_dir_all(&snapshot).unwrap();
        fs::create_dir_all(repository.join("refs")).unwrap();
        fs::write(repository.join("refs").join("main"), "abc123").unwrap();
        assert_eq!(cached(cache.path(), "owner/model"), None, "no weights yet");
        fs::write(snapshot.join("model.safetensors"), "").unwrap();
        assert_eq!(cached(cache.path(), "owner/model"), Some(snapshot));
    }

    #[cfg(not(feature = "hub"))]
    #[test]
    fn offline_the_error_says_which_files_to_put_where() {
        let error = resolve("no-such-owner-7/no-such-model").unwrap_err().to_string();
        for needed in ["config.json", "model.safetensors", "tokenizer.json", "the folder no-such-owner-7/no-such-model"]
        {
            assert!(error.contains(needed), "{error}");
        }
    }
}

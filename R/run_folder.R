# Reading the folder of a run or an evaluation. Each file is checked against its SHA-256 sum in
# manifest.json, which python/sense/manifest.py describes.

manifest_name <- "manifest.json"

# The files of such a folder and their largest sizes, as in python/sense/run_folder.py.
run_limits <- function() {
  mib <- 2^20
  c(
    "config.json" = mib, "metrics.jsonl" = 64 * mib, "model.safetensors" = 2^34,
    "evaluation.json" = 16 * mib, "outcomes.csv" = 512 * mib, "outcomes.csv.gz" = 64 * mib,
    "curve_outcomes.csv" = 512 * mib, "curve.csv" = mib, "convergence.csv" = 512 * mib,
    "convergence_accuracy.csv" = 16 * mib, "convergence_accuracy.csv.gz" = 16 * mib, "examples.json" = 512 * mib,
    "examples.json.gz" = 64 * mib, "comparison.json" = 64 * mib, "MODEL_CARD.md" = 16 * mib
  )
}

check_folder <- function(folder, arg = "folder", hint = NULL, call = parent.frame()) {
  check_string(folder, expected = "the path of a folder, a single string", arg = arg, call = call)
  if (!dir.exists(folder)) {
    abort_file(
      c(
        "There is no folder {.file {folder}}.",
        i = if (!is.null(hint)) hint else if (grepl("^[A-Za-z]+://", folder)) "Nothing is downloaded: download the folder, and give its path as {.arg {arg}}." else "Give the path of a run or an evaluation as {.arg {arg}}."
      ),
      call = call
    )
  }
  folder
}

run_has <- function(folder, name) file.exists(file.path(folder, name)) || is_link(file.path(folder, name))

is_link <- function(path) {
  to <- Sys.readlink(path)
  !is.na(to) && nzchar(to)
}

# The checked bytes of a file of the folder.
read_run <- function(folder, name, call = parent.frame()) {
  path <- file.path(folder, name)
  bytes <- read_bytes(path, run_limits()[[name]], call)
  entry <- read_manifest(folder, path, call)[[name]]
  if (is.null(entry)) {
    abort_file(
      c(
        "{.file {path}} cannot be checked: {.file {manifest_name}} does not list it.",
        i = "If you trust the folder as it is: {.code seal_run(\"{folder}\")}."
      ),
      call = call
    )
  }
  for (sum in list(entry[c("sha256", "bytes")], entry[["next"]])) {
    counted <- if (isTRUE(entry$grows)) utils::head(bytes, sum$bytes %||% 0) else bytes
    if (same_sum(counted, sum)) {
      return(counted)
    }
  }
  abort_file(
    c(
      "{.file {path}} is damaged or was changed: its sum differs from that in {.file {manifest_name}}.",
      i = "If it was changed on purpose: {.code seal_run(\"{folder}\")}. Otherwise copy it again from an undamaged folder."
    ),
    call = call
  )
}

# A file that is missing must not be listed in the manifest.
check_absent <- function(folder, names, call = parent.frame()) {
  entries <- if (run_has(folder, manifest_name)) read_manifest(folder, folder, call)
  gone <- intersect(names, names(entries))
  if (length(gone) && !is.null(entries[[gone[1]]]$sha256)) {
    path <- file.path(folder, gone[1])
    abort_file(
      c(
        "{.file {path}} is listed in {.file {manifest_name}}, but missing.",
        i = "Put it back. If it was removed on purpose: {.code seal_run(\"{folder}\")}."
      ),
      call = call
    )
  }
}

same_sum <- function(bytes, sum) {
  is.character(sum$sha256) && identical(as.numeric(length(bytes)), as.numeric(sum$bytes)) &&
    identical(sha256(bytes), sum$sha256)
}

sha256 <- function(bytes) cli::hash_raw_sha256(bytes)

# The entries of a folder's manifest by name. `file` is the file that is to be checked.
read_manifest <- function(folder, file, call = parent.frame()) {
  path <- file.path(folder, manifest_name)
  if (!run_has(folder, manifest_name)) {
    abort_file(
      c(
        "{.file {file}} cannot be checked: its folder has no {.file {manifest_name}}.",
        i = "If you trust the folder as it is: {.code seal_run(\"{folder}\")}."
      ),
      call = call
    )
  }
  content <- parse_json_text(as_text(read_bytes(path, 2^20, call), path, call), path, call = call)
  if (!setequal(names(content), c("format", "files")) || !is.list(content$files)) {
    bad_manifest(path, "it must have the entries format and files, and no other", folder, call)
  }
  if (!identical(content$format, 1L)) {
    bad_manifest(path, "this version of sense reads format 1 only", folder, call)
  }
  if (anyDuplicated(names(content$files)) || !all(vapply(content$files, is_entry, TRUE))) {
    bad_manifest(path, "an entry is not a valid sum", folder, call)
  }
  content$files
}

bad_manifest <- function(path, why, folder, call) {
  abort_file(
    c(
      "{.file {path}} is damaged: {why}.",
      i = "Copy the folder again from an undamaged one. If you trust its files as they are: {.code seal_run(\"{folder}\")}."
    ),
    call = call
  )
}

is_entry <- function(entry) {
  is.list(entry) && all(names(entry) %in% c("sha256", "bytes", "next", "grows")) &&
    (is_sum(entry[c("sha256", "bytes")]) || is_sum(entry[["next"]])) &&
    (is.null(entry$grows) || isTRUE(entry$grows))
}

is_sum <- function(sum) {
  is.list(sum) && is_string(sum$sha256) && grepl("^[0-9a-f]{64}$", sum$sha256) &&
    is_number(sum$bytes) && sum$bytes >= 0 && sum$bytes == round(sum$bytes)
}

read_run_text <- function(folder, name, call = parent.frame()) {
  as_text(read_run(folder, name, call), file.path(folder, name), call)
}

read_run_json <- function(folder, name, simplify = FALSE, call = parent.frame()) {
  parse_json_text(read_run_text(folder, name, call), file.path(folder, name), simplify, call)
}

# A file of the folder that may be gzipped: the path of what is there, and its checked bytes without
# compression. NULL: there is neither.
read_run_unzipped <- function(folder, name, call = parent.frame()) {
  gzipped <- paste0(name, ".gz")
  if (run_has(folder, name)) {
    list(path = file.path(folder, name), bytes = read_run(folder, name, call))
  } else if (gzipped %in% names(run_limits()) && run_has(folder, gzipped)) {
    path <- file.path(folder, gzipped)
    list(path = path, bytes = gunzip(read_run(folder, gzipped, call), run_limits()[[name]], path, call))
  }
}

# A CSV file of the folder, gzipped or not, or NULL. It must have `columns`, as numbers.
read_run_csv <- function(folder, name, columns, call = parent.frame()) {
  found <- read_run_unzipped(folder, name, call)
  if (is.null(found)) {
    check_absent(folder, c(name, paste0(name, ".gz")), call)
    return(NULL)
  }
  check_columns(parse_csv(found$bytes, found$path, call), columns, found$path, call)
}

check_columns <- function(table, columns, path, call) {
  good <- vapply(columns, function(name) plain_numbers(table[[name]]) && !anyNA(table[[name]]), TRUE)
  if (!nrow(table) || !all(good)) {
    damaged(path, cli::format_inline("it must have rows, with numbers in the columns {.val {columns}}"), call)
  }
  if ("k" %in% columns && any(table$k < 0 | table$k > table$n | table$n < 1)) {
    damaged(path, "k must be from 0 to n", call)
  }
  table
}

#' Record the checksums of a run
#'
#' The `manifest.json` of a folder has the SHA-256 sum of each of its files, and a file with another
#' sum is refused. If you changed a file on purpose, or have an old folder without a manifest,
#' `seal_run()` records the present sums, like `python -m sense.seal`. It does not make a folder from
#' somebody else trustworthy. Do not use it while a run writes to the folder.
#'
#' @param folder The folder of a run or an evaluation; or a [sense_fit] whose `weights` or
#'   `description` you changed.
#' @return For a folder, the names of the files that were new, changed or removed, invisibly. For a
#'   fit, the fit with its present sums.
#' @examples
#' folder <- tempfile()
#' dir.create(folder)
#' stored <- system.file("extdata", "mnist-demo", "sense", package = "sense")
#' file.copy(list.files(stored, full.names = TRUE), folder)
#' cat("\n", file = file.path(folder, "config.json"), append = TRUE)
#' try(read_sense_fit(folder))
#' seal_run(folder)
#' read_sense_fit(folder)
#' @family functions of run folders
#' @export
seal_run <- function(folder) {
  if (inherits(folder, "sense_fit")) {
    return(with_sums(folder))
  }
  check_folder(folder)
  names <- Filter(function(name) run_has(folder, name), sort(names(run_limits()), method = "radix"))
  if (!length(names)) {
    abort_file("{.file {folder}} has no file of a run or an evaluation: give the folder of one.")
  }
  bytes <- lapply(stats::setNames(names, names), function(name) {
    read_bytes(file.path(folder, name), run_limits()[[name]])
  })
  check_old_sum(folder, bytes[["model.safetensors"]])
  before <- tryCatch(read_manifest(folder, folder), error = function(e) list())
  write_atomically(file.path(folder, manifest_name), manifest_text(bytes))
  unlink(file.path(folder, old_sum_name))
  same <- vapply(names, function(name) same_sum(bytes[[name]], before[[name]]), TRUE)
  changed <- c(names[!same], setdiff(names(before), names))
  cli::cli_inform(
    if (length(changed)) "{.file {folder}}: recorded the present sums of {.file {changed}}." else "{.file {folder}}: no file has changed."
  )
  invisible(changed)
}

# The same bytes that Python writes.
manifest_text <- function(bytes) {
  entries <- vapply(names(bytes), function(name) {
    sprintf(
      "    \"%s\": {\n      \"sha256\": \"%s\",\n      \"bytes\": %.0f\n    }", name,
      sha256(bytes[[name]]), length(bytes[[name]])
    )
  }, "")
  paste0("{\n  \"format\": 1,\n  \"files\": {\n", paste(entries, collapse = ",\n"), "\n  }\n}\n")
}

# Old folders without a manifest have the sum of the weights alone.
old_sum_name <- "model.safetensors.sha256"

check_old_sum <- function(folder, weights, call = parent.frame()) {
  path <- file.path(folder, old_sum_name)
  if (is.null(weights) || !run_has(folder, old_sum_name)) {
    return(invisible())
  }
  expected <- sub(" .*", "", as_text(read_bytes(path, 1000, call), path, call))
  if (!identical(expected, sha256(weights))) {
    abort_file(
      "{.file {file.path(folder, 'model.safetensors')}} is damaged: its sum differs from that in {.file {old_sum_name}}. If it was changed on purpose, remove {.file {old_sum_name}}.",
      call = call
    )
  }
}

# A fit has the sums of its content, so that a change in memory or in a file is noticed.
with_sums <- function(fit) {
  fit$sums <- fit_sums(fit)
  fit
}

fit_sums <- function(fit) {
  list(description = cli::hash_sha256(fit$description %||% ""), weights = sha256(fit$weights %||% raw()))
}

check_sums <- function(fit, arg, call = parent.frame()) {
  if (!is.raw(fit$weights) || !is_string(fit$description)) {
    abort_file(
      "{.arg {arg}} is damaged: it must have {.field weights}, raw bytes, and {.field description}, a string. Read it again with {.fn read_sense_fit}.",
      call = call
    )
  }
  now <- fit_sums(fit)
  differ <- Filter(function(part) !identical(now[[part]], fit$sums[[part]]), names(now))
  if (length(differ)) {
    abort_file(
      c(
        if (is.null(fit$sums)) {
          "{.arg {arg}} cannot be checked: it has no sums."
        } else {
          "{.arg {arg}} is damaged or was changed: its {.field {differ}} {?does/do} not match {.code $sums}."
        },
        i = "If you changed it on purpose: {.code seal_run({arg})} returns it with its present sums. Otherwise read it again with {.fn read_sense_fit}."
      ),
      call = call
    )
  }
}

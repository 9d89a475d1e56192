# Reading files from folders that anybody may have made, and writing files. Content is parsed as
# content, never taken for a URL or a path. No other file of the package opens files.

# The bytes of a plain file of at most `limit` bytes. Base R cannot recognise a FIFO or a device, but
# their size is 0, and a file of size 0 is not opened.
read_bytes <- function(path, limit, call = parent.frame()) {
  link <- Sys.readlink(path)
  if (!is.na(link) && nzchar(link)) {
    abort_file("{.file {path}} is a link, not a plain file: put the file itself there.", call = call)
  }
  if (!file.exists(path)) {
    abort_file("{.file {path}} is missing: give the complete folder of a run.", call = call)
  }
  if (dir.exists(path)) {
    abort_file("{.file {path}} is a folder, not a plain file: put the file itself there.", call = call)
  }
  size <- file.size(path)
  if (size > limit) {
    abort_file(
      "{.file {path}} has {size} bytes, but at most {limit} are expected: it is another kind of file, or damaged.",
      call = call
    )
  }
  if (size == 0) {
    return(raw())
  }
  # `raw`: R neither opens anything but a plain file, nor decompresses it.
  connection <- tryCatch(
    suppressWarnings(file(normalizePath(path), "rb", raw = TRUE)),
    error = function(e) {
      abort_file("{.file {path}} cannot be read: check its permissions.", call = call)
    }
  )
  on.exit(close(connection))
  readBin(connection, "raw", size)
}

# Write a file under a new name beside its final path, then rename it: the file is complete or absent,
# and no link at either name is followed.
write_atomically <- function(path, content, call = parent.frame()) {
  if (is.character(content)) content <- charToRaw(enc2utf8(paste(content, collapse = "")))
  part <- tempfile(".", dirname(path), ".part")
  on.exit(unlink(part))
  # "x": the name must be new. "b" must come last, or R opens it as text.
  written <- tryCatch(
    suppressWarnings({
      connection <- file(part, "wxb")
      tryCatch(writeBin(content, connection), finally = close(connection))
      file.size(part) == length(content) && file.rename(part, path)
    }),
    error = function(e) FALSE
  )
  if (!isTRUE(written)) {
    abort_file(
      "{.file {path}} could not be written: check that its folder exists and is writable, and that the disk is not full.",
      call = call
    )
  }
  invisible(path)
}

# The content of a gzip file, at most `limit` bytes.
gunzip <- function(bytes, limit, path, call = parent.frame()) {
  connection <- gzcon(rawConnection(bytes))
  on.exit(close(connection))
  parts <- list()
  size <- 0
  repeat {
    part <- tryCatch(
      readBin(connection, "raw", 2^20),
      error = function(e) damaged(path, conditionMessage(e), call),
      warning = function(w) damaged(path, conditionMessage(w), call)
    )
    if (!length(part)) break
    size <- size + length(part)
    if (size > limit) damaged(path, sprintf("its content is longer than %.0f bytes", limit), call)
    parts <- c(parts, list(part))
  }
  do.call(c, parts)
}

as_text <- function(bytes, path, call = parent.frame()) {
  text <- if (any(bytes == 0)) NA else rawToChar(bytes)
  if (is.na(text) || !validUTF8(text)) damaged(path, "it is not text", call)
  Encoding(text) <- "UTF-8"
  text
}

parse_json_text <- function(text, path, simplify = FALSE, call = parent.frame()) {
  if (json_depth(text) > 100) damaged(path, "it is nested too deeply", call)
  value <- tryCatch(
    jsonlite::parse_json(text, simplifyVector = simplify),
    error = function(e) damaged(path, paste("it is not JSON:", first_line(e)), call)
  )
  if (!is.list(value) || is.null(names(value))) damaged(path, "it must contain a JSON object", call)
  value
}

# An upper bound of the depth of nesting of a JSON text, strings excluded.
json_depth <- function(text) {
  if (!length(text)) {
    return(0)
  }
  bare <- gsub("\"(?:[^\"\\\\]++|\\\\.)*+\"", "", text, perl = TRUE, useBytes = TRUE)
  bytes <- unlist(lapply(bare, charToRaw))
  opened <- bytes == charToRaw("{") | bytes == charToRaw("[")
  closed <- bytes == charToRaw("}") | bytes == charToRaw("]")
  max(cumsum(opened - closed), 0)
}

# A table from JSON lines.
parse_json_lines <- function(text, path, call = parent.frame()) {
  lines <- strsplit(text, "\n", fixed = TRUE)[[1]]
  if (max(0, vapply(lines, json_depth, 0)) > 100) damaged(path, "it is nested too deeply", call)
  connection <- textConnection(lines)
  on.exit(close(connection))
  table <- tryCatch(
    jsonlite::stream_in(connection, verbose = FALSE),
    error = function(e) damaged(path, first_line(e), call)
  )
  if (!is.data.frame(table) || !nrow(table) || !is.numeric(table$epoch)) {
    damaged(path, "it must have a line per epoch", call)
  }
  table
}

parse_csv <- function(bytes, path, call = parent.frame()) {
  lines <- strsplit(as_text(bytes, path, call), "\r?\n")[[1]]
  connection <- textConnection(lines)
  on.exit(close(connection))
  tryCatch(
    utils::read.csv(connection, stringsAsFactors = FALSE),
    error = function(e) damaged(path, first_line(e), call)
  )
}

damaged <- function(path, why, call = parent.frame()) {
  abort_file(
    c(
      "{.file {path}} is damaged or not a file of this package: {why}.",
      i = "Copy it again from an undamaged folder, or repeat the run or evaluation."
    ),
    call = call
  )
}

first_line <- function(e) strsplit(cli::ansi_strip(conditionMessage(e)), "\n")[[1]][1]

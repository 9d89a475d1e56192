# Python's messages name options of the command line. Here they become arguments of R: in errors, in
# progress lines and in the stored text of an evaluation. `training`: the message is of
# `train_sense()`, where some options belong to `sense_control()`.

translate_message <- function(text, training = FALSE) {
  for (i in seq_along(shell_words)) {
    for (path in shell_paths) {
      text <- gsub(sub("PATH", path, names(shell_words)[i], fixed = TRUE), shell_words[[i]], text, perl = TRUE)
    }
  }
  for (flag in shell_flags) {
    text <- gsub(sprintf("--%s(?![\\w-])( it\\b)?", flag), sprintf("`%s = TRUE`", flag), text, perl = TRUE)
    text <- gsub(sprintf("--no-%s(?![\\w-])", flag), sprintf("`%s = FALSE`", flag), text, perl = TRUE)
  }
  found <- gregexpr(option_pattern, text, perl = TRUE)
  regmatches(text, found) <- lapply(regmatches(text, found), as_arguments, training)
  counted_from_1(text)
}

# "row 0 (from 0)" is R's row 1.
counted_from_1 <- function(text) {
  found <- gregexpr("\\b[0-9]+ \\(from 0\\)", text)
  regmatches(text, found) <- lapply(regmatches(text, found), function(one) {
    as.character(as.integer(sub(" .*", "", one)) + 1L)
  })
  text
}

# Options that take no value in the shell.
shell_flags <- c("overwrite", "cascade", "diagnostics")

# A path in a message: quoted, as Python quotes those that the shell would take apart, or one word.
shell_paths <- c("'([^']+)'", "((?!RUN\\b)[^\\s,;:'-](?:[^\\s,;:]|:(?=[^\\s]))*(?<!\\.))")

# Commands, and advice that is for the shell alone.
shell_words <- c(
  "--attacks pgd autoattack \\.\\.\\." = "`attacks = c(\"pgd\", \"autoattack\")`",
  ",? or in the shell --[\\w-]+ \\S+" = "",
  "as model=\\.\\.\\. in Python or --model MODULE:FACTORY in the shell" = "as `model = \"MODULE:FACTORY\"`",
  "python -m sense\\.seal PATH, or seal_run\\(\\) in R" = "`seal_run(\"\\1\")`",
  "python -m sense\\.seal PATH" = "`seal_run(\"\\1\")`",
  "(?:python -m sense\\.train )?--resume PATH" = "`train_sense(control = sense_control(resume = \"\\1\"))`",
  "python -m sense\\.evaluate PATH" = "`evaluate_sense(\"\\1\")`",
  "python -m sense\\.(train|evaluate)" = "`\\1_sense()`",
  "python -m sense\\.report" = "`sense_report()`"
)

# An option, and its value if that is a number, a choice or a word in capitals.
option_pattern <- "(?<![\\w-])--[a-z][a-z0-9]*(-[a-z0-9]+)*( ([0-9][0-9./e-]*[0-9]|[0-9]|True|False|[A-Z]{3,}(:[A-Z]+)?)(?![\\w]))?"

as_arguments <- function(options, training) {
  vapply(options, function(option) {
    parts <- strsplit(option, " ", fixed = TRUE)[[1]]
    name <- gsub("-", "_", sub("^--", "", parts[1]))
    value <- parts[-1]
    argument <- if (length(value)) {
      sprintf("`%s = %s`", name, switch(value, True = "TRUE", False = "FALSE", value))
    } else {
      sprintf("`%s`", name)
    }
    in_control <- training && name %in% names(formals(sense_control))
    if (in_control) paste(argument, "of `sense_control()`") else argument
  }, "", USE.NAMES = FALSE)
}

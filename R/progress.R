# Progress of training and evaluation: lines of class "sense_progress", which suppressMessages() or a
# handler of that class silences. In a console that can redraw a line, cli's bar is below them. None if
# the code runs in knitr, where they would fill the page.
progress_lines <- function(quiet, training = FALSE, .envir = parent.frame()) {
  if (quiet || isTRUE(getOption("knitr.in.progress"))) {
    return(NULL)
  }
  bar <- NULL
  function(line) {
    line <- translate_message(line, training)
    epoch <- as.integer(regmatches(line, regexec("^epoch +([0-9]+)/([0-9]+)", line))[[1]][2:3])
    if (anyNA(epoch) || !cli::is_dynamic_tty()) {
      return(rlang::inform(line, class = "sense_progress"))
    }
    if (is_muffled(line)) {
      return(invisible())
    }
    if (is.null(bar)) {
      bar <<- cli::cli_progress_bar(
        "Training", total = epoch[2], format = "{cli::pb_name}{cli::pb_bar} {cli::pb_current}/{cli::pb_total}",
        .envir = .envir
      )
    }
    # cli breaks lines at spaces, except at these.
    cli::cli_progress_output(gsub(" ", "\u00a0", line), id = bar)
    cli::cli_progress_update(set = epoch[1], id = bar, force = TRUE)
  }
}

# Offer the line to handlers before cli prints it.
is_muffled <- function(line) {
  condition <- structure(
    class = c("sense_progress", "message", "condition"), list(message = paste0(line, "\n"), call = NULL)
  )
  withRestarts(
    {
      signalCondition(condition)
      FALSE
    },
    muffleMessage = function() TRUE
  )
}

#' Conditions of the package
#'
#' Errors, warnings and messages have classes, so that a program can handle them one by one with
#' [tryCatch()] or [withCallingHandlers()].
#'
#' | class | kind | when |
#' |---|---|---|
#' | `sense_error` | error | any error of the package; each has one of the next classes too |
#' | `sense_argument_error` | error | an argument is invalid, or arguments do not fit together |
#' | `sense_file_error` | error | a folder or file is missing, damaged or not of this package |
#' | `sense_python_error` | error | Python refused an option, a file or data |
#' | `sense_python_fault` | error | a fault in Python, with its traceback; it is not due to the input |
#' | `sense_no_python` | error | Python with torch is not there |
#' | `sense_stopped` | error | training or evaluation was interrupted; the message says how to resume |
#' | `sense_failed_runs` | warning | some runs of a sweep failed |
#' | `sense_collapse` | warning | the network predicts the same for all images |
#' | `sense_unfinished` | warning | the time of `minutes` was over before the last epoch of a training |
#' | `sense_progress` | message | a line of progress |
#' | `sense_update` | message | what `update()` does |
#' | `sense_na_action` | message | rows with missing values were left out |
#'
#' An interrupt (Ctrl-C) of a short call stays an interrupt.
#' @examples
#' tryCatch(wilson_interval(11, 10), sense_argument_error = function(e) "refused")
#' tryCatch(read_sense_fit("nowhere"), sense_file_error = function(e) "no such folder")
#' @seealso [sense_control()] has the option `quiet`.
#' @name sense_conditions
NULL

abort <- function(message, class = "sense_argument_error", ..., call = .envir,
                  .envir = parent.frame()) {
  cli::cli_abort(message, class = c(class, "sense_error"), ..., call = call, .envir = .envir)
}

abort_file <- function(message, ..., call = .envir, .envir = parent.frame()) {
  abort(message, "sense_file_error", ..., call = call, .envir = .envir)
}

#' How a run is carried out
#'
#' What does not change the method: where the run is kept, on what it runs, and
#' how much it tells. Only what is given here is passed on to Python; the
#' defaults are Python's.
#'
#' @param out Folder for the run, new; a temporary one unless given. It holds
#'   the options, the metrics of each epoch, a checkpoint and the weights, in
#'   the form that `python -m sense.evaluate` reads.
#' @param resume Folder of an interrupted run to go on with, by the options it
#'   has. Images that were given as arrays have to be given again.
#' @param device `"auto"` (a GPU if there is one), `"cpu"`, `"cuda"` ...
#' @param threads Number of processor threads.
#' @param seed Seed of the initial weights, of the order of the images and of
#'   random starts, a whole number >= 0.
#' @param monitor Number of test images on which accuracy is taken each epoch.
#' @param quiet `TRUE` for no line an epoch.
#' @return An object of class `sense_control`; printing shows what was set.
#' @examples
#' sense_control(threads = 2, seed = 7)
#' @export
sense_control <- function(out = NULL, resume = NULL, device = NULL, threads = NULL,
                          seed = NULL, monitor = NULL, quiet = FALSE) {
  check_path(out, "out")
  check_path(resume, "resume")
  if (!is.null(out) && !is.null(resume)) {
    cli::cli_abort("Give {.arg out} for a new run or {.arg resume} for an old one, not both.")
  }
  if (!is.null(device) && !is_string(device)) {
    cli::cli_abort("{.arg device} must be a single string, such as {.val cpu}.")
  }
  if (!isTRUE(quiet) && !isFALSE(quiet)) {
    cli::cli_abort("{.arg quiet} must be TRUE or FALSE.")
  }
  structure(
    list(
      out = out, resume = resume, quiet = quiet,
      options = drop_null(list(
        device = device,
        threads = check_whole(threads, "threads", 1),
        seed = check_whole(seed, "seed", 0),
        monitor = check_whole(monitor, "monitor", 1)
      ))
    ),
    class = "sense_control"
  )
}

#' @export
print.sense_control <- function(x, ...) {
  set <- drop_null(c(x[c("out", "resume")], x$options, list(quiet = if (x$quiet) TRUE)))
  cat("<sense_control>", if (length(set)) "" else " all by default", "\n", sep = "")
  for (name in names(set)) cat("  ", name, ": ", format(set[[name]]), "\n", sep = "")
  invisible(x)
}

check_path <- function(path, arg, call = parent.frame()) {
  if (!is.null(path) && !is_string(path)) {
    cli::cli_abort("{.arg {arg}} must be the path of a folder, a single string.", call = call)
  }
}

# NULL, or a whole number as R's integer (Python would read 1 as 1.0).
check_whole <- function(x, arg, least, call = parent.frame()) {
  if (is.null(x)) {
    return(NULL)
  }
  if (!is_number(x) || x != round(x) || x < least || x > .Machine$integer.max) {
    cli::cli_abort(
      "{.arg {arg}} must be a whole number >= {least}, not {.val {x}}.",
      call = call
    )
  }
  as.integer(x)
}

is_string <- function(x) is.character(x) && length(x) == 1 && !is.na(x) && nzchar(x)

drop_null <- function(x) x[!vapply(x, is.null, logical(1))]

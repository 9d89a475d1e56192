#' How a run is carried out
#'
#' What does not change the method: where the run is kept, on what it runs, and
#' how much it tells. Only what is given here is passed on to Python; the
#' defaults are Python's.
#'
#' @param out Folder for the run, new; a temporary one unless given. It holds
#'   the options, the metrics of each epoch, a checkpoint and the weights, in
#'   the form that `python -m sense.evaluate` reads.
#' @param resume Folder of a run to resume, with the options it
#'   has. Images that were given as arrays have to be given again.
#' @param device `"auto"` (a GPU if there is one), `"cpu"`, `"cuda"` ...
#' @param threads Number of processor threads.
#' @param seed Seed of the initial weights, of the order of the images and of
#'   random starts, a whole number >= 0.
#' @param monitor Number of training images on which accuracy is taken each epoch,
#'   where none are held out for validation.
#' @param quiet `TRUE` for no line an epoch.
#' @return An object of class `sense_control`; printing shows what was set.
#' @examples
#' sense_control(threads = 2, seed = 7)
#' @export
sense_control <- function(out = NULL, resume = NULL, device = NULL, threads = NULL,
                          seed = NULL, monitor = NULL, quiet = FALSE) {
  check_path(out)
  check_path(resume)
  if (!is.null(out) && !is.null(resume)) {
    cli::cli_abort("Give {.arg out} for a new run or {.arg resume} for an old one, not both.")
  }
  device <- check_string(device, allow_null = TRUE)
  quiet <- check_flag(quiet)
  structure(
    list(
      out = out, resume = resume, quiet = quiet,
      options = drop_null(list(
        device = device,
        threads = check_count(threads, allow_null = TRUE),
        seed = check_count(seed, min = 0, max = 2^32 - 1, allow_null = TRUE),
        monitor = check_count(monitor, allow_null = TRUE)
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

drop_null <- function(x) x[!vapply(x, is.null, logical(1))]

#' Export a trained network
#'
#' Writes the network of a fit to a file that needs neither this package nor its code, for use in other
#' programs: ONNX, or the format of `torch.export`. The exported network takes pixels from 0 to 1 in the
#' order image, channel, row, column, or rows of scaled features, and returns logits. Before the file is
#' written, its logits are compared with those of the network on up to 100 test images or rows.
#'
#' @param fit A [sense_fit], or the folder of a run.
#' @param file The file: a name that ends in `.onnx` (which needs the Python packages onnx and
#'   onnxscript) or in `.pt2`.
#' @param x Images or rows for the comparison, as in [train_sense()]. Default: the test images of the
#'   data set of the fit. A fit that was trained on arrays or on a table needs them.
#' @param data_dir Folder of the data of the fit, if it was moved.
#' @param overwrite `TRUE` replaces a file that exists.
#' @param model `"module:factory"`, as in [evaluate_sense()].
#' @return A list, invisibly: `file`, `largest_difference` (of a logit), `images` (their number).
#' @seealso [train_sense()], [evaluate_sense()].
#' @examples
#' if (sense_available()) {
#'   run <- system.file("extdata", "mnist-demo", "sense", package = "sense")
#'   export_sense(run, tempfile(fileext = ".pt2"))
#' }
#' @family functions of run folders
#' @export
export_sense <- function(fit, file, x = NULL, data_dir = NULL, overwrite = FALSE, model = NULL) {
  fit <- as_fit(fit)
  check_string(file)
  check_path(data_dir)
  check_flag(overwrite)
  check_string(model, allow_null = TRUE)
  if (is.null(x)) {
    check_own_data(fit, cli::format_inline("test {kind_of_inputs(fit)} as {.arg x}"))
  } else {
    x <- as_inputs(x, fit, "x")
  }
  done <- call_evaluation(
    "export", fit, NULL,
    file = path.expand(file), x = x, data_dir = data_dir, model = model, overwrite = overwrite
  )
  cli::cli_inform("{done$text}")
  invisible(list(file = file, largest_difference = done$largest_difference, images = done$images))
}

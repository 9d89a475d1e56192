#' Evaluate a trained network under attack
#'
#' Attacks the test images of a fit, counts those that are still correctly classified,
#' and runs diagnostics of the evaluation. It is the same engine, with the same defaults,
#' as `python -m sense.evaluate`: only what is given here is passed on.
#'
#' By default the network is attacked by PGD with 100 steps and 5 restarts in the
#' ball that it was trained for, on all test images. The results are kept in the
#' fit's folder, if that still holds this network, else in a temporary one. An
#' evaluation that was stopped, by Ctrl-C or otherwise, goes on when the same call
#' is given again; attacks can be added to one that is done. One with other options,
#' such as another `eps`, goes to a folder in the fit's, `evaluation-2` and so on,
#' which [read_sense_evaluation()] reads like the first.
#'
#' @param fit A [sense_fit], or the folder of a run.
#' @param attacks Which attacks, any of `"fgsm"`, `"pgd"`, `"margin-pgd"`,
#'   `"targeted-pgd"`, `"deepfool"`, `"deepfool-l2"`, `"autoattack"`, `"square"`
#'   and `"transfer"`. PGD unless given; `"natural"`, none, is always among them.
#' @param eps Radius of the ball of perturbations; that of the training unless
#'   given.
#' @param n So many of the test images, the first ones unless `draw` is the seed
#'   to draw them with; all unless given.
#' @param ... Further options by name, as `python -m sense.evaluate --help` lists
#'   them, with `_` for `-`: `steps`, `restarts`, `step_size`, `norm` (`Inf`, 2
#'   or 1), `queries` (Square), `l2_eps` (DeepFool), `source` (transfer: another
#'   fit or run), `seed`, `draw`, `cascade`, `diagnostics`, `curve` (radii), and
#'   `convergence` (so many images are followed step by step).
#' @param x,y Test images and their classes, as in [train_sense()]; those of the
#'   fit's data set unless given. A fit that was trained on arrays needs them.
#' @param data_dir Where the fit's data is now, if it was moved.
#' @param out Folder for the results, instead of the fit's.
#' @param overwrite `TRUE` to begin anew where the folder holds an evaluation
#'   with other options.
#' @param model `"module:factory"` once more, where the fit's network is one that this Python
#'   function makes. Its code runs with your rights: name it if you know what it is.
#' @param device,threads Where to compute, as in [sense_control()].
#' @param quiet `TRUE` for no line an attack.
#' @return A [sense_evaluation] object, plain R data.
#' @examples
#' if (sense_available()) {
#'   # A stored network on few images, by few steps: an evaluation takes more of both.
#'   run <- system.file("extdata", "mnist-demo", "sense", package = "sense")
#'   evaluation <- evaluate_sense(
#'     run, c("fgsm", "pgd"), n = 50, steps = 5, restarts = 1, diagnostics = FALSE,
#'     curve = c(0, 0.1, 0.2), out = file.path(tempdir(), "evaluation")
#'   )
#'   evaluation
#'   autoplot(evaluation)
#'   autoplot(evaluation, "curve")
#' }
#' @export
evaluate_sense <- function(fit, attacks = NULL, eps = NULL, n = NULL, ...,
                           x = NULL, y = NULL, data_dir = NULL, out = NULL, overwrite = FALSE,
                           model = NULL, device = NULL, threads = NULL, quiet = FALSE) {
  fit <- as_fit(fit)
  check_path(out)
  check_path(data_dir)
  options <- evaluation_options(attacks = attacks, eps = eps, n = n, ...)
  folder <- out %||% own_folder(fit) %||% tempfile("sense-evaluation-")
  done <- call_evaluation(
    "evaluate", fit, options,
    images = test_images(fit, x, y), data_dir = data_dir, out = path.expand(folder),
    beside = is.null(out), overwrite = check_flag(overwrite), model = check_string(model, allow_null = TRUE),
    device = check_string(device, allow_null = TRUE), threads = check_count(threads, allow_null = TRUE),
    on_line = if (!check_flag(quiet)) function(line) message(translate_message(line)),
    command = paste(deparse(sys.call()), collapse = " ")
  )
  if (done$stopped) {
    cli::cli_abort(
      c(
        "The evaluation was stopped before its end.",
        i = "Go on: give the same call again, with {.code out = \"{done$folder}\"}."
      ),
      class = "sense_stopped"
    )
  }
  as_evaluation(done$folder, level = 0.95)
}

as_fit <- function(fit, call = parent.frame()) {
  if (inherits(fit, "sense_fit")) {
    return(fit)
  }
  if (!is_string(fit)) {
    cli::cli_abort(
      "{.arg fit} must be what {.fun train_sense} gave, or the folder of a run, not {.cls {class(fit)}}.",
      call = call
    )
  }
  read_sense_fit(fit)
}

# Only what is set; several attacks or radii as lists, another fit as its folder.
evaluation_options <- function(..., call = parent.frame()) {
  options <- named_dots(..., call = call)
  if (inherits(options$source, "sense_fit")) {
    options$source <- own_folder(options$source)
    if (is.null(options$source)) {
      cli::cli_abort("The folder of {.arg source} is gone: give the folder of a run.", call = call)
    }
  }
  as_options(options, call)
}

# The fit's folder, if it is there and still holds these weights.
own_folder <- function(fit) {
  if (!is_string(fit$folder) || !run_has(fit$folder, "model.safetensors")) {
    return(NULL)
  }
  there <- tryCatch(read_run(fit$folder, "model.safetensors"), rlang_error = function(e) NULL)
  if (identical(there, fit$weights)) fit$folder
}

# Images of the user's own for the fit's classes, labels counted from 0; NULL for those of its data.
test_images <- function(fit, x, y, call = parent.frame()) {
  if (is.null(x)) {
    if (identical(fit$config$dataset, "arrays")) {
      cli::cli_abort(
        "This fit was trained on arrays, which it does not keep: give test images and classes as {.arg x} and {.arg y}.",
        call = call
      )
    }
    return(NULL)
  }
  x <- as_image_array(x, "x", call)
  y <- known_classes(y, fit$data$classes, nrow(x), "y", call)
  list(x_test = x, y_test = as.list(as.integer(y) - 1L))
}

# A call into Python that evaluates a fit: its description and weights, and what is set.
call_evaluation <- function(task, fit, options, ..., call = parent.frame()) {
  check_sums(fit, "fit", call)
  call_python(task, drop_null(c(
    list(
      description = fit$description, weights = fit$weights, options = options,
      cache_dir = tools::R_user_dir("sense", "cache"), name = basename(fit$folder %||% "fit")
    ),
    list(...)
  )), call)
}

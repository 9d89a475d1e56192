#' Train an image classifier that is robust where that is sensible
#'
#' Trains a network by sensible adversarial training (SENSE-AT, Algorithms 1 and
#' 2 of Kim and Wang), by natural training (NT), or by one of the adversarial
#' methods that their paper compares. It runs in the same engine, with the same defaults, as
#' `python -m sense.train`: only what is given here is passed on.
#'
#' With no arguments at all it trains SENSE-AT on a sample of MNIST that ships
#' with the package, in some minutes on two cores. Ctrl-C stops it after the
#' present step and leaves a checkpoint, which
#' `train_sense(control = sense_control(resume = folder))` resumes. There
#' `data_dir`, `device`, `threads` and more `epochs` may be given anew, and no
#' other option.
#'
#' @param data `"mnist-sample"` (10,000 training and 2,000 test images of MNIST,
#'   which ship with the package), `"mnist"` (all of it) or `"cifar10"` (its
#'   binary version); these two are downloaded once into the cache directory
#'   [tools::R_user_dir()], or read from the folder `data_dir`. Left out where images are given as `x`.
#' @param method `"sense"`; `"nt"`; `"r-at"` (Madry et al.), `"trades"`, `"mart"`,
#'   `"mma"` or `"iaat"`, each as its authors' code has it; or `"sense-trades"`,
#'   the variant with the loss of TRADES.
#' @param model `"small-cnn"`, the network of the paper's section 5.2.1, or
#'   `"capacity-1"`, `"capacity-2"`, ..., its sequence of growing networks. For
#'   colour images `"cifar-cnn-1"`, `"cifar-cnn-2"`, `"resnet20"` (32, 44, 56),
#'   `"wrn-34-10"`. Or `"module:factory"`, a Python function that makes a
#'   network, in a module that Python can import. A run whose network is such a function is
#'   resumed only where `model` names it again, since its code runs with your rights.
#' @param c Lowest probability of the true class that a moved image may have,
#'   from 0 to 1. The paper recommends 0.5 or more.
#' @param eps Radius of the ball of perturbations, in pixels of 0 to 1.
#' @param epochs Number of epochs.
#' @param ... Further options of the engine by name, as
#'   `python -m sense.train --help` lists them, with `_` for `-`: `step_size`,
#'   `steps`, `norm` (`Inf`, 2 or 1), `random_start`, `boundary`, `warmup`,
#'   `beta` (TRADES, MART), `d_max` (MMA), `gamma` (IAAT), `pretrain`,
#'   `batch_size`, `optimizer`, `lr`, `schedule`, `augment`, `data_dir` ...
#' @param x Training images: an array n x height x width (x channels), or a
#'   matrix with a row for each square grey image, its pixels row by row.
#'   Pixels are numbers from 0 to 1, or of integer type from 0 to 255.
#' @param y Their classes: a factor, or what [factor()] makes one of.
#' @param x_test,y_test Test images and classes, of the same form. Training does
#'   not look at them. Without them a sixth of `x`, drawn with the seed and of
#'   each class the same part, is held out for validation (`validation = ` says
#'   how many), and `fit$validation` says which; evaluate on images of your own.
#' @param recipe Named set of options to start from: `"mnist-demo"`;
#'   `"cifar10-demo"`; the paper's `"mnist"` (500 epochs), `"cifar10-cnn"`,
#'   `"cifar10-resnet"`, `"cifar10-wrn-34-10"`; or another method's authors', such
#'   as `"trades-cifar10"`.
#' @param control [sense_control()]: where the run is kept, on what it runs, its
#'   seed.
#' @return A [sense_fit] object, plain R data that [saveRDS()] keeps.
#' @seealso [install_sense()] makes the Python environment, once.
#' @examples
#' if (sense_available()) {
#'   # A tiny network on few images; train_sense() alone takes some minutes.
#'   fit <- train_sense(
#'     model = "capacity-1", train_size = 200, epochs = 1, control = sense_control(threads = 1)
#'   )
#'   fit
#'   autoplot(fit)
#' }
#' \dontrun{
#' train_sense()
#' train_sense(method = "r-at", epochs = 2, control = sense_control(threads = 2))
#' train_sense("cifar10", method = "trades", model = "resnet20", recipe = "cifar10-resnet")
#' train_sense(control = sense_control(resume = "runs/sense"), epochs = 20)
#' }
#' @export
train_sense <- function(data = "mnist-sample", method = "sense", model = NULL,
                        c = NULL, eps = NULL, epochs = NULL, ...,
                        x = NULL, y = NULL, x_test = NULL, y_test = NULL,
                        recipe = NULL, control = sense_control()) {
  if (!missing(data) && is.array(data) && is.null(x)) {
    x <- data
  } else if (!missing(data) && !is.null(x)) {
    cli::cli_abort("Give either {.arg data}, a name, or images as {.arg x}, not both.")
  }
  check_class(control, "sense_control", "sense_control")
  recipe <- check_string(recipe, allow_null = TRUE)
  images <- if (!is.null(x)) as_images(x, y, x_test, y_test)
  set <- drop_null(list(
    dataset = if (!is.null(x)) "arrays" else if (!missing(data)) data,
    method = if (!missing(method)) method,
    model = model, c = c, eps = eps, epochs = epochs
  ))
  options <- as_options(utils::modifyList(control$options, utils::modifyList(set, named_dots(...))))
  again <- if (!is.null(control$resume)) options$model
  if (!is.null(again)) options$model <- NULL
  run_training(options, recipe, images, control, command = sys.call(), model = again)
}

# The part that needs Python.
run_training <- function(options, recipe, images, control, command, model = NULL,
                         call = parent.frame()) {
  resume <- !is.null(control$resume)
  folder <- control$resume %||% control$out %||% tempfile("sense-run-")
  done <- call_python("train", list(
    options = options, base = recipe, out = path.expand(folder), images = images,
    resume = resume, cache_dir = tools::R_user_dir("sense", "cache"),
    on_epoch = if (!control$quiet) function(line) message(r_words(line)),
    command = paste(deparse(command), collapse = " "), model = model
  ), call)
  if (done$stopped) {
    cli::cli_abort(
      c(
        "Training was stopped before its end.",
        i = "Go on: {.code train_sense(control = sense_control(resume = \"{folder}\"))}."
      ),
      call = call, class = "sense_stopped"
    )
  }
  fit <- read_sense_fit(folder)
  fit$validation <- as.integer(unlist(done$validation)) + 1L
  fit
}

named_dots <- function(..., call = parent.frame()) {
  dots <- list(...)
  if (length(dots) && (is.null(names(dots)) || any(names(dots) == ""))) {
    cli::cli_abort("Further options must be named, such as {.code steps = 10}.", call = call)
  }
  drop_null(dots)
}

# R's numbers are fine as they are but for vectors, which Python wants as lists.
as_options <- function(options, call = parent.frame()) {
  options <- drop_null(options)
  for (name in names(options)) check_option(options[[name]], name, call)
  lapply(options, function(value) {
    value <- as.vector(value)
    if (length(value) > 1) as.list(unname(value)) else unname(value)
  })
}

# Numbers, words, TRUE or FALSE: what it may be else, Python says.
check_option <- function(value, name, call = parent.frame()) {
  plain <- is.null(dim(value)) && !is.object(value) && length(value) &&
    (is.character(value) || is.numeric(value) || is.logical(value))
  if (!plain || anyNA(value)) {
    refuse(value, name, "a number, a string, TRUE or FALSE, or several of them", call = call)
  }
}
